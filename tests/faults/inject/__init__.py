"""Faults, each a context manager: entered, it is there; left, it is healed as an operator or the world would heal it.

Law: a fault hits one thing only, and its healing does no more than take the fault away: whatever the service needs to
recover it must do by itself, except where a fault's own text says what a person does.
"""
