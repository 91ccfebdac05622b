"""The command `dashboard`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from persisting.cli import output


def show_dashboard(path: Path, *, port: int, open_browser: bool) -> None:
    """Serve the page until Ctrl-C, which is its ordinary end."""
    from persisting.dashboard import serve

    def ready(url: str) -> None:
        if output.is_for_people(as_json=False):
            output.show_line(f"{url} shows the buckets below {path}; Ctrl-C ends it")
        else:
            output.print_line({"url": url})
        if open_browser:
            webbrowser.open(url)

    serve(path, port=port, ready=ready)
