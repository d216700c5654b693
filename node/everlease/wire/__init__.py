"""Bytes <-> values: messages, option tables, kinds of option values. Pure: no socket, no clock, no chance."""
