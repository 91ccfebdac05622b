"""Three processes in one Pulsing cluster, on one disk: all have buckets, and one is killed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster import NUM_BUCKETS, eventually, free_addresses

pytestmark = [pytest.mark.pulsing, pytest.mark.slow]


@pytest.mark.timeout(180)
def test_three_nodes_and_a_kill(start_node):
    addresses = free_addresses(3)
    nodes = [start_node(addresses[0], [])] + [
        start_node(each, addresses[:1]) for each in addresses[1:]
    ]
    assert [node.answer() for node in nodes] == ["ready"] * 3
    for node in nodes:
        eventually(lambda node=node: node.ask("members") == 3)

    # Every node writes, and all of them share the buckets.
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda i: nodes[i].ask("put", 1000 * i, 1000), range(3)))
    owned = [node.ask("buckets") for node in nodes]
    assert all(owned), owned
    assert sorted(bucket for each in owned for bucket in each) == list(range(NUM_BUCKETS))
    expected = list(range(3000))
    assert all(sorted(node.ask("get")) == expected for node in nodes)

    # One is killed; whoever owns its buckets now opens them on the same disk, with every record.
    # Both survivors are to notice first: a manager asked before may keep the dead actor for good.
    nodes[2].kill()
    for node in nodes[:2]:
        eventually(lambda node=node: node.ask("members") == 2)
    assert eventually(lambda: sorted(nodes[0].ask("get"))) == expected
    assert eventually(lambda: sorted(nodes[1].ask("get"))) == expected

    # It starts again, and all three go on. A put that failed may have been kept by some buckets,
    # and is repeated; so of what is put now only the acknowledged numbers are compared.
    nodes[2] = start_node(addresses[2], addresses[:1])
    assert nodes[2].answer() == "ready"
    eventually(lambda: nodes[2].ask("members") == 3)
    assert sorted(eventually(lambda: nodes[2].ask("get"))) == expected
    eventually(lambda: nodes[0].ask("put", 3000, 500))
    eventually(lambda: nodes[2].ask("put", 4000, 500))
    acknowledged = {*range(3500), *range(4000, 4500)}
    for node in nodes:
        got = eventually(lambda node=node: node.ask("get"))
        assert acknowledged <= set(got)
        assert [number for number in sorted(got) if number < 3000] == expected
    assert eventually(lambda: nodes[1].ask("wait_for", 0)) == 1
    assert eventually(lambda: nodes[0].ask("flush"))


@pytest.mark.timeout(180)
def test_a_second_actor_of_a_bucket_is_passed_over(start_node, storage):
    """A node that joins may make one before it hears of the first; lookups then find either."""
    addresses = free_addresses(2)
    nodes = [start_node(addresses[0], []), start_node(addresses[1], addresses[:1])]
    assert [node.answer() for node in nodes] == ["ready"] * 2
    for node in nodes:
        eventually(lambda node=node: node.ask("members") == 2)
    nodes[0].ask("put", 0, 1000)
    owner = next(node for node in nodes if 0 in node.ask("buckets"))
    other = nodes[1 - nodes.index(owner)]
    other.ask("double", 0, str(storage))
    for node in nodes:
        eventually(lambda node=node: len(node.ask("instances", 0)) == 2)

    for i in range(10):
        nodes[i % 2].ask("put", 1000 * (i + 1), 1000)
        assert sorted(nodes[i // 2 % 2].ask("get")) == list(range(1000 * (i + 2)))
