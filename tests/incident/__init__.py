"""The incident, side by side: a backup locks the lease database, and the DHCP service runs on and answers nobody.

KB Q216793 told of it; here its story is run against Kea's hot-standby pair and against Everlease, with the same load
and the same fault, and told second by second from what was on the wire.
"""
