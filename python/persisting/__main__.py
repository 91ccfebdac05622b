"""``python -m persisting`` is the command ``persisting``."""

from persisting.cli import main

main()
