"""Fixtures of all Python tests, and the check that pylance reads what a test has written."""

import atexit
import importlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Node
from helpers import check_tables
from persisting.queue import read_queue, write_queue

try:
    import pulsing as pul
except ModuleNotFoundError:
    pul = None


def pytest_collection_modifyitems(items):
    if pul is not None:
        return
    for item in items:
        if item.get_closest_marker("pulsing"):
            item.add_marker(pytest.mark.skip(reason="Pulsing is not installed"))


_exit_status = pytest.StashKey[int]()


def pytest_sessionfinish(session, exitstatus):
    session.config.stash[_exit_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """End without finalizing the interpreter: Pulsing's threads crash it, with or without us."""
    if pul is not None and _exit_status in config.stash:
        atexit._run_exitfuncs()
        config.get_terminal_writer().flush()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_exit_status])


@pytest.fixture
def pulsing_queue():
    """The queue module of the installed Pulsing release."""
    name = "pulsing.queue" if pul.__version__ == "0.1.0" else "pulsing.streaming"
    return importlib.import_module(name)


@pytest.fixture
async def system():
    """A Pulsing system of one node."""
    system = await pul.actor_system()
    yield system
    await system.shutdown()


@pytest.fixture
def storage(tmp_path):
    """A folder for one topic. After the test the official Lance reader reads every table in it."""
    yield tmp_path / "storage"
    check_tables(tmp_path / "storage")


@pytest.fixture
def memory_folder():
    """A folder in memory where the machine has one.

    For tests that open hundreds of buckets: what they check does not depend on a real disk, and
    most of their time would go into its syncs.
    """
    memory = Path("/dev/shm")
    is_usable = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if is_usable else None) as folder:
        yield Path(folder)


@pytest.fixture
async def writer(storage):
    """A writer of the embedded topic "t"."""
    async with await write_queue(None, "t", storage_path=storage) as writer:
        yield writer


@pytest.fixture
async def reader(storage):
    """A reader of the same topic."""
    async with await read_queue(None, "t", storage_path=storage) as reader:
        yield reader


@pytest.fixture
def start_node(storage, tmp_path):
    """Starts a node of a cluster at an address; all share one folder."""
    nodes = []

    def start(address, seeds):
        node = Node(address, str(storage), seeds, tmp_path / f"node{len(nodes)}.log")
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        if node.process.poll() is None:
            node.close()
