"""The bench's own reckoning: targets, notes, and what ends a run."""

from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.fixture
def group(bench):
    from framework import KILL, Group, Row, Unit, at_least, at_most, no_more_than

    rows = (
        Row("reaches", KILL, "fast", "peer", "the peer", target=at_least(2)),
        Row("falls short", KILL, "slow", "peer", "the peer", target=at_least(2)),
        Row("takes little", KILL, "short", "long", "the peer", Unit.SECONDS, at_most(0.5)),
        Row("takes too long", KILL, "long", "short", "the peer", Unit.SECONDS, no_more_than(1e-3)),
        Row("has no peer", KILL, "fast", "absent", "the absent", target=at_least(1)),
    )
    return Group("g", "Title", "How.", rows, lambda _round: None)


@pytest.fixture
def measured(bench):
    from results import Measured

    rounds = [
        {"fast": 300.0 * i, "slow": 150.0 * i, "peer": 100.0 * i, "short": 0.001, "long": 0.004}
        for i in (1, 2, 3)
    ]
    return Measured(rounds, {"the absent": "it is not there"}, {"machine": "m"}, "2026-01-01")


def test_a_row_says_ratio_spread_figure_and_whether_the_target_is_reached(group, measured):
    import page

    lines = list(page.table(group, measured))[2:]
    assert lines[0] == (
        "| reaches | kill -9 | the peer | 3 | 3 to 3 | 600 records/s | 200 records/s | ≥ 2 × |"
        " yes |"
    )
    assert lines[1].endswith("| ≥ 2 × | **no** |")
    assert lines[2].endswith("| 1 ms | 4 ms | ≤ 0.5 × | yes |")
    assert lines[3].endswith("| 4 ms | 1 ms | ≤ 1 ms | **no** |")
    assert "not measured" in lines[4]


def test_what_falls_short_is_explained_by_its_note(group, measured):
    import page

    told = list(page.notes_of(group, measured, {"slow/peer": "the disk is slow"}))
    assert told == [
        "* falls short, against the peer: the disk is slow",
        "* takes too long, against the peer: not reached, not explained yet.",
        "* the absent was not measured: it is not there.",
    ]


def test_a_note_on_no_row_is_refused(bench, tmp_path, monkeypatch):
    import page

    notes = tmp_path / "notes.toml"
    notes.write_text('"no/row" = "of a case that was renamed"\n')
    monkeypatch.setattr(page, "NOTES", notes)
    with pytest.raises(SystemExit, match="no/row"):
        page.load_notes()


def test_a_figure_of_zero_or_a_row_without_figures_fails_the_run(bench, group, monkeypatch):
    import run
    from framework import Round

    monkeypatch.setitem(run.GROUPS, "g", group)
    this = Round(Path(), smoke=True, number=0, flatness_records=1)
    this.figures = dict.fromkeys(("fast", "slow", "peer", "short", "long", "absent"), 1.0)
    run.check("g", this)
    this.figures["slow"] = 0.0
    with pytest.raises(SystemExit, match="slow"):
        run.check("g", this)
    del this.figures["slow"]
    with pytest.raises(SystemExit, match="slow/peer"):
        run.check("g", this)
