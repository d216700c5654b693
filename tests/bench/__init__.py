"""Everlease beside Kea, in one run on one machine: `./tests/run.sh bench`.

Law: every system gets the same load from the same program over the same virtual wires, fresh state, and data on a real
file system. What is printed was measured in this run.
"""
