"""`python -m rung`."""

from rung.cli import main

main()
