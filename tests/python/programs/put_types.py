"""Puts the records of type_table.py into a bucket and ends without closing it.

Arguments: "lance" or "persisting", the bucket's folder.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from test_types import BACKENDS, put_all

if __name__ == "__main__":
    kind, folder = sys.argv[1:]
    backend = put_all(BACKENDS[kind], folder)
    if kind == "lance":
        backend.flush()  # what it has not flushed is lost
    os._exit(0)
