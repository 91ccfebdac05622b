"""The dashboard: one local page that shows the buckets below a folder, live.

It only reads, beside the processes that write, and only this machine can reach it.
"""

from persisting.dashboard._server import Dashboard, serve

__all__ = ["Dashboard", "serve"]
