"""Real DHCP clients and a real relay against three nodes on one link; `./tests/run.sh clients`."""
