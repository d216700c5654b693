"""The history of a run: what was on every wire, what etcd committed, what nodes said; and what must hold of it."""
