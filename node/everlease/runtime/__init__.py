"""The only event loop: sockets, responder, committer, membership, sweeper."""
