"""The comparison of instruction counts with their baseline, which make lint runs."""

from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.mark.parametrize(
    ("count", "good", "said"),
    [(104, True, ""), (106, False, "+6.0%"), (94, True, "Keep it so"), (96, True, "")],
)
def test_instruction_counts_may_grow_by_a_twentieth(bench, capsys, count, good, said):
    import instructions

    assert instructions.compare({"put": float(count)}, {"put": 100.0}) is good
    output = capsys.readouterr().out
    assert bool(output) is bool(said)
    assert said in output


def test_an_operation_without_a_baseline_fails(bench):
    import instructions

    assert not instructions.compare({"put": 1.0}, {})
