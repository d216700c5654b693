"""The command line: speaks only to the admin API, or runs a process."""
