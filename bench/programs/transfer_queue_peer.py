"""Puts a list of records into TransferQueue; runs in an environment of its own, which has it.

Arguments: number of records, of lists. Prints "rate VALUE": records a second, of half the lists.
"""

import os
import statistics
import sys
import time

# Before Ray is imported: it tells nobody that it is used.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
import torch
import transfer_queue
from tensordict import NonTensorStack, TensorDict

ACTORS = 8


def make_fields(count: int) -> TensorDict:
    """Return the same records as the rest of the bench, in TransferQueue's form: columns."""
    return TensorDict(
        {
            "id": torch.arange(count),
            "name": NonTensorStack(*(f"n{i % 1000:06d}" for i in range(count))),
            "reward": torch.full((count,), 0.5, dtype=torch.float64),
            "text": NonTensorStack(*("hello world, this is text" for _ in range(count))),
        },
        batch_size=count,
    )


def main(count: int, lists: int) -> None:
    """Put the lists, one after the other."""
    # Nothing but the loopback interface. Each of TransferQueue's actors asks for a CPU, and waits
    # for ever where there are fewer.
    ray.init(_node_ip_address="127.0.0.1", num_cpus=ACTORS, include_dashboard=False)
    transfer_queue.init()
    rates = []
    for number in range(lists):
        keys = [f"{number}-{i}" for i in range(count)]
        fields = make_fields(count)
        started = time.perf_counter()
        transfer_queue.kv_batch_put(keys=keys, partition_id="bench", fields=fields)
        rates.append(count / (time.perf_counter() - started))
    transfer_queue.close()
    ray.shutdown()
    print(f"rate {statistics.median(rates)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
