"""`python -m everlease`."""

from everlease.cli.main import main

main()
