"""Chromium without a window, as the tests of the dashboard and its picture use it."""

import contextlib
import shutil

from selenium import webdriver

# The last four: it is to look nothing up in the network by itself.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium(profile, *more, capabilities=None):
    """A driver of the Debian package's browser, with an empty folder for its profile."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    assert all(paths), "install the Debian packages chromium and chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for name, value in (capabilities or {}).items():
        options.set_capability(name, value)
    for option in (*OPTIONS, f"--user-data-dir={profile}", *more):
        options.add_argument(option)
    service = webdriver.ChromeService(paths[1])
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver
