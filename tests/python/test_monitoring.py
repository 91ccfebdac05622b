"""What monitoring/ and docs/monitoring.md say holds: names, kinds and texts are the core's."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from persisting._core import collect_metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "monitoring/grafana/persisting.json"
RULES = ROOT / "monitoring/prometheus/persisting-alerts.yml"
RULE_TESTS = ROOT / "monitoring/prometheus/persisting-alerts-test.yml"
PAGE = ROOT / "docs/monitoring.md"

NAME = re.compile(r"\bpersisting_[a-z_]+\b")


@pytest.fixture(scope="module")
def exported():
    """Each metric's family, by name."""
    return {family["name"]: family for family in collect_metrics()}


@pytest.fixture(scope="module")
def series(exported):
    """Each time series' name, and the metric that it is of."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {
        name + suffix: name
        for name, family in exported.items()
        for suffix in suffixes.get(family["kind"], ("",))
    }


def expressions():
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def rules():
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def promtool(*arguments):
    done = subprocess.run(
        [shutil.which("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_queries(queries, folder):
    """Let promtool check queries, as rules."""
    assert queries
    rules = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(queries)]
    file = folder / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))  # JSON is YAML
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))


class TestDashboard:
    def test_it_uses_what_there_is_and_all_of_it(self, series, exported):
        used = {name for expression in expressions() for name in NAME.findall(expression)}
        assert used <= series.keys()
        assert {series[name] for name in used} == exported.keys()

    def test_its_variables_use_what_there_is(self, series):
        variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
        names = [name for each in variables for name in NAME.findall(each.get("definition", ""))]
        assert names
        assert set(names) <= series.keys()

    def test_its_queries_are_promql(self, tmp_path):
        queries = [each.replace("$__rate_interval", "1m") for each in expressions()]
        check_queries(queries, tmp_path)

    def test_its_panels_have_numbers_and_places_of_their_own(self):
        panels = json.loads(DASHBOARD.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24


class TestAlerts:
    def test_they_use_what_there_is(self, series):
        names = [name for rule in rules() for name in NAME.findall(rule["expr"])]
        assert names
        assert set(names) <= series.keys()

    def test_promtool_accepts_them(self):
        assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))
        promtool("check", "config", str(RULES.with_name("prometheus.yml")))

    def test_each_fires_when_it_should_and_not_else(self):
        promtool("test", "rules", str(RULE_TESTS))
        tested = [
            (case["alertname"], bool(case["exp_alerts"]))
            for test in yaml.safe_load(RULE_TESTS.read_text())["tests"]
            for case in test["alert_rule_test"]
        ]
        assert set(tested) == {
            (rule["alert"], fires) for rule in rules() for fires in (True, False)
        }

    def test_each_has_texts_and_a_section_of_the_runbook(self):
        headings = re.findall(r"^#+ (\w+)$", PAGE.read_text(), re.MULTILINE)
        for rule in rules():
            notes = rule["annotations"]
            assert notes["summary"]
            assert notes["description"]
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["alert"] in headings
            assert notes["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"


class TestPage:
    def test_its_table_is_the_cores(self, exported):
        rows = re.findall(
            r"^\| `(persisting_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$",
            PAGE.read_text(),
            re.MULTILINE,
        )
        table = [(name, kind, text) for name, kind, _, text in rows]
        assert table == [
            (name, family["kind"], family["help"]) for name, family in exported.items()
        ]

    def test_its_queries_are_promql(self, tmp_path):
        section = PAGE.read_text().partition("## Questions, in PromQL")[2].partition("\n## ")[0]
        check_queries(re.findall(r"\| `(.*)` \|$", section, re.MULTILINE), tmp_path)

    def test_its_examples_use_what_there_is(self, series, exported):
        names = set(NAME.findall(PAGE.read_text()))
        assert names <= series.keys() | exported.keys()
