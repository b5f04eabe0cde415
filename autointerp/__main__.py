"""`python -m autointerp`."""

from autointerp.cli.main import main

main()
