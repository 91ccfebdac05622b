"""A Pulsing cluster for tests: each node is a process of programs/cluster_node.py."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs" / "cluster_node.py"

# With three nodes of random ids, one of them owns none of 24 buckets once in 5,000 runs.
NUM_BUCKETS = 24


class NodeError(Exception):
    pass


class Node:
    """A node in a process of its own."""

    def __init__(self, address, storage, seeds, log):
        self.address = address
        self.log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, address, storage, str(NUM_BUCKETS), *seeds],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise NodeError(f"node {self.address} ended: {self.log.read_text()[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer["result"]

    def ask(self, *call):
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def kill(self):
        self.process.kill()
        self.process.wait()
        assert self.process.returncode == -signal.SIGKILL
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def eventually(call, seconds=45):
    """The first true result of `call`, past NodeErrors; a cluster takes time to agree."""
    deadline = time.monotonic() + seconds
    while True:
        failure = "a false result"
        try:
            if result := call():
                return result
        except NodeError as error:
            failure = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {failure}")
        time.sleep(0.1)
