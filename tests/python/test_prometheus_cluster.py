"""A real Prometheus, a Pulsing cluster of three processes: what PromQL finds is what was put."""

import json
import math
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster import NUM_BUCKETS, NodeError, eventually, free_addresses
from persisting._core import collect_metrics

MONITORING = Path(__file__).parents[2] / "monitoring"
PER_NODE = 1000

pytestmark = [pytest.mark.pulsing, pytest.mark.slow]


class Prometheus:
    """A server that scrapes the ports five times a second."""

    def __init__(self, folder, ports):
        self.address = free_addresses(1)[0]
        self.log = folder / "prometheus.log"
        config = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(MONITORING / "prometheus/persisting-alerts.yml")],
            "scrape_configs": [
                {
                    "job_name": "persisting",
                    "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
                }
            ],
        }
        file = folder / "prometheus.yml"
        file.write_text(json.dumps(config))  # JSON is YAML
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    shutil.which("prometheus"),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address={self.address}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )

    def get(self, path, **parameters):
        assert self.process.poll() is None, self.log.read_text()
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}?{query}", timeout=10) as got:
                answer = json.load(got)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError as error:  # it is not up yet
            raise NodeError(str(error)) from error
        assert answer["status"] == "success"
        return answer["data"]

    def query(self, expression):
        """The result as a list of labels and values."""
        found = self.get("/api/v1/query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def value(self, expression):
        """The one value of the result; nan where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else math.nan

    def close(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def start_prometheus(tmp_path):
    servers = []

    def start(ports):
        servers.append(Prometheus(tmp_path, ports))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def nodes(start_node):
    addresses = free_addresses(3)
    nodes = [start_node(addresses[0], [])]
    nodes += [start_node(each, addresses[:1]) for each in addresses[1:]]
    assert [node.answer() for node in nodes] == ["ready"] * 3
    for node in nodes:
        eventually(lambda node=node: node.ask("members") == 3)
    return nodes


@pytest.mark.timeout(120)
def test_a_cluster_is_seen_whole(nodes, start_prometheus):
    ports = [node.ask("serve_metrics") for node in nodes]
    prometheus = start_prometheus(ports)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda i: nodes[i].ask("put", PER_NODE * i, PER_NODE), range(3)))
    total = PER_NODE * len(nodes)
    eventually(lambda: prometheus.value("sum(persisting_records_total)") == total)

    # Every bucket is seen once, at the node that has it.
    seen = {}
    for labels, _ in prometheus.query("persisting_records_total"):
        seen.setdefault(labels["instance"], []).append(int(labels["bucket"]))
    assert {instance: sorted(buckets) for instance, buckets in seen.items()} == {
        f"127.0.0.1:{port}": sorted(node.ask("buckets"))
        for port, node in zip(ports, nodes, strict=True)
    }
    assert sorted(bucket for each in seen.values() for bucket in each) == list(range(NUM_BUCKETS))

    # Bucket by bucket the counters are those of stats().
    nodes[0].ask("flush")
    eventually(lambda: prometheus.value("sum(persisting_flush_lag_records)") == 0)
    eventually(lambda: prometheus.value("sum(persisting_flush_duration_seconds_count)") > 0)
    stats = {int(bucket): figures for bucket, figures in nodes[0].ask("stats").items()}
    assert len(stats) == NUM_BUCKETS
    assert sum(figures["total_count"] for figures in stats.values()) == total
    for name, of_stats in {
        "persisting_records_total": lambda figures: figures["total_count"],
        "persisting_bytes_total": lambda figures: figures["metrics"]["persisting_bytes_total"],
        "persisting_wal_size_bytes": lambda figures: figures["wal_size"],
        "persisting_put_duration_seconds_count": lambda figures: figures["metrics"][
            "persisting_put_duration_seconds"
        ]["count"],
    }.items():
        expected = {bucket: of_stats(figures) for bucket, figures in stats.items()}
        eventually(
            lambda name=name, expected=expected: (
                {int(labels["bucket"]): value for labels, value in prometheus.query(name)}
                == expected
            )
        )

    check_dashboard(prometheus)
    check_alerts(prometheus)


def check_dashboard(prometheus):
    """Each query of the dashboard has a result, but for what has not happened yet."""
    dashboard = json.loads((MONITORING / "grafana/persisting.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = re.sub(r"\$(instance|topic|bucket)\b", ".*", target["expr"])
            expression = expression.replace("$__rate_interval", "1m")
            assert prometheus.query(expression), panel["title"]


def check_alerts(prometheus):
    """Prometheus evaluates each of our alerts, and none of them fires."""
    [group] = prometheus.get("/api/v1/rules")["groups"]
    assert len(group["rules"]) > 5
    for rule in group["rules"]:
        assert (rule["health"], rule["state"]) == ("ok", "inactive"), rule
    exported = {family["name"] for family in collect_metrics()}
    assert exported <= {
        name.removesuffix("_count") for name in prometheus.get("/api/v1/label/__name__/values")
    }
