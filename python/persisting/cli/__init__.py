"""The command ``persisting``: looks into stored queues, moves records in and out, measures.

Every command is a module of its own that is imported when it runs, so that ``--help`` is quick.
What they share: errors and exit statuses in `errors`, what goes to stdout in `output`, values as
JSON in `json_text`, buckets below a path in `buckets`.
"""

from persisting.cli.app import app, main

__all__ = ["app", "main"]
