"""What the bench lets nobody make worse."""

import json
from pathlib import Path

import pytest
from bench import gate

KEPT = {"warm settle, of lean boto's": 0.8, "start of query_order, of lean boto's": 1.3}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "GATE.json"
    made.write_text(json.dumps(KEPT))
    monkeypatch.setattr(gate, "GATE", made)
    return made


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("now", "worse"), [(0.7, False), (0.8, False), (0.815, False), (0.817, True), (1.6, True)])
def test_a_figure_more_than_two_percent_above_what_is_kept_is_told(now: float, worse: bool) -> None:
    found = {**KEPT, "warm settle, of lean boto's": now, "a new figure": 99.0}
    assert gate.compare(found) == ({"warm settle, of lean boto's": (0.8, now)} if worse else {})


def test_what_is_set_is_what_is_kept(kept: Path) -> None:
    gate.keep({"a": 1.5})
    assert json.loads(kept.read_text()) == {"a": 1.5}
    assert gate.compare({"a": 1.6}) == {"a": (1.5, 1.6)}


def test_each_figure_is_of_lean_botos_at_the_same_job() -> None:
    start = {"ours/settle": 130.0, "ours/query": 120.0, "ours/console": 150.0, "lean/settle": 100.0, "lean/query": 80.0}
    warm = {"ours/query": 4.0, "lean/query": 5.0}
    assert gate.figures(gate.Counted(start, warm), 3 * 2**20) == {
        "layers unzipped, MiB": 3.0,
        "start of set_club_jf_settle, of lean boto's": 1.3,
        "start of query_order, of lean boto's": 1.5,
        "start of console, of lean boto's": 1.5,  # no peer has one: beside lean boto's settle
        "warm query, of lean boto's": 0.8,
    }
