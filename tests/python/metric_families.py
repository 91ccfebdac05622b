"""Families of the core's form, made by hand, so that what is made of them can be compared."""

import math

LABELS = [{"topic": "rollouts", "bucket": "0"}, {"topic": 'qu"ot\\ed', "bucket": "11"}]


def families():
    return [
        {
            "name": "persisting_records_total",
            "help": "Records acknowledged.",
            "kind": "counter",
            "samples": [{"labels": LABELS[0], "value": 12.0}, {"labels": LABELS[1], "value": 0.0}],
        },
        {
            "name": "persisting_wal_size_bytes",
            "help": "Size of the log.",
            "kind": "gauge",
            "samples": [{"labels": LABELS[0], "value": 1e6}, {"labels": LABELS[1], "value": 64.0}],
        },
        {
            "name": "persisting_poisoned",
            "help": "Whether puts are refused.",
            "kind": "gauge",
            "samples": [{"labels": LABELS[1], "value": 1.0}],
        },
        {
            "name": "persisting_put_duration_seconds",
            "help": "From the call to the acknowledgement.",
            "kind": "histogram",
            "samples": [
                {
                    "labels": LABELS[0],
                    "buckets": [[0.00025, 1], [0.001, 3], [1.0, 3], [math.inf, 4]],
                    "sum": 2.5,
                    "count": 4,
                }
            ],
        },
    ]
