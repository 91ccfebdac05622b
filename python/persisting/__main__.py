"""``python -m persisting`` is the command ``persisting``."""

from persisting.cli import app

app(prog_name="persisting")
