"""The groups of the bench, in the order of the page."""

from cases import (
    arrow,
    buckets,
    durable,
    flatness,
    levels,
    maintenance,
    metrics,
    pulsing,
    puts,
    reads,
    recovery,
    wakeup,
)
from framework import Group

GROUPS: dict[str, Group] = {
    module.GROUP.name: module.GROUP
    for module in (
        puts,
        durable,
        arrow,
        reads,
        maintenance,
        flatness,
        recovery,
        buckets,
        wakeup,
        pulsing,
        metrics,
        levels,
    )
}
