"""The portable copy of a cluster: one file of JSON lines, how it is made, checked, and put back.

`lines`, `verify`, `files` and the tables touch no store and no network: clients and commands import them too. `saving`,
`rules` and `restoring` are what a node does with them.
"""
