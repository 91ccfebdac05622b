"""Records that a number determines: a test computes again what a killed program has put."""

import random


def record(number):
    """The record of that number."""
    made = random.Random(number)
    return {
        "id": number,
        "text": "é" * made.randrange(200),
        "real": made.uniform(-1e9, 1e9),
        "flag": made.random() < 0.5,
        "hole": None if made.random() < 0.3 else made.randrange(2**40),
        "list": [made.randrange(100) for _ in range(made.randrange(4))],
    }
