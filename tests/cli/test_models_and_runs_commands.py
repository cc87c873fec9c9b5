"""`pilot models` and `pilot runs`, as a user calls them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from large_journal import make_journal
from pilot_starter import run_pilot

from pilotcli.common.records import EventKind, Query, QueryResult
from pilotcli.common.signals import EventTriggered
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.journal import Journal

pytestmark = pytest.mark.slow


def pilot(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_pilot(*arguments, "--set", f"home={home}", cwd=home)


def told(home: Path, *arguments: str) -> str:
    done = pilot(home, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout)
    return done.stdout


def refused(home: Path, *arguments: str) -> str:
    done = pilot(home, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with three versions of a model and two runs, the second of them killed."""
    store = CheckpointStore(tmp_path / "models")
    for number in range(3):
        store.save(
            "latency",
            lambda folder: (folder / "weights").write_text("w"),
            model_class="forum.Latency",
            event="Update",
            query_seq=50 * (number + 1),
            trained_rows=40,
            metrics={"mae": 2.5 - number},
        )
    with Journal.open(tmp_path) as journal:
        for last in (False, True):
            with journal.start_run(
                kind="run",
                workload="forum.sql",
                config_path=None,
                config_text="",
                database="embedded PostgreSQL",
                options={},
            ) as run:
                for seq in range(1, 21):
                    result = QueryResult(seq, f"q{seq}", "ok", 1.7e9, seq / 100)
                    if seq == 7:
                        result = QueryResult(seq, "q7", "error", 1.7e9, 9.0, error="no \x1b[31mway")
                    run.add_result(Query(seq, f"q{seq}", "SELECT 1", "forum.sql", seq), result)
                signal = EventTriggered(
                    "Update", EventKind.PERIODIC_UPDATE, "interval", 20, "failed", 0.5, 1,
                    error="boom", traceback="Traceback:\n  boom",
                )  # fmt: skip
                run.add_firing(signal, {})
                if not last:
                    run.finish("failed", 3, {})
    return tmp_path


def test_models_are_listed(home: Path) -> None:
    header, line = told(home, "models", "list").splitlines()
    assert header.split()[:3] == ["MODEL", "VERSIONS", "VERSION"]
    assert line.split()[:3] == ["latency", "3", "3"]
    assert line.endswith("mae 0.5")
    (listed,) = json.loads(told(home, "models", "list", "--format", "json"))
    assert listed["versions"] == [1, 2, 3]
    assert listed["current"]["metrics"] == {"mae": 0.5}


def test_a_model_is_shown_with_its_versions(home: Path) -> None:
    lines = told(home, "models", "show", "latency").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "*"]
    arguments = ("models", "show", "latency", "--version", "2")
    text = told(home, *arguments)
    assert re.search(r"^class +forum.Latency$", text, re.MULTILINE)
    assert re.search(r"^after query +100$", text, re.MULTILINE)
    shown = json.loads(told(home, *arguments, "--format", "json"))
    assert (shown["version"], shown["class"]) == (2, "forum.Latency")
    assert shown["files"][0]["name"] == "weights"


def test_rollback_and_prune(home: Path) -> None:
    assert told(home, "models", "rollback", "latency", "--to", "1").startswith(
        "latency is at version 1,"
    )
    assert "1 version removed" in told(home, "models", "prune", "--all", "--keep", "1")
    store = CheckpointStore(home / "models")
    assert [version.version for version in store.versions("latency")] == [1, 3]
    assert "0 versions removed" in told(home, "models", "prune", "latency", "--keep", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "show", "latencies"), "Did you mean 'latency'?"),
        (("models", "show", "latency", "--version", "9"), "no version 9"),
        (("models", "rollback", "other"), "no checkpoint of a model 'other'"),
        (("models", "prune", "--keep", "1"), "--all"),
        (("models", "prune", "latency", "--all", "--keep", "1"), "--all"),
        (("models", "prune", "latency", "--keep", "0"), "--keep"),
        (("runs", "show", "9"), "there is no run 9"),
    ],
)
def test_what_cannot_be_done_is_told(home: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(home, *arguments)


def test_runs_are_listed_newest_first(home: Path) -> None:
    header, second, first = told(home, "runs", "list").splitlines()
    assert header.split()[:4] == ["RUN", "STARTED", "TOOK", "STATUS"]
    assert re.search(r"^ *2 .* killed +20 +1 +run +(\S )? *forum.sql$", second)
    assert re.search(r"^ *1 .* failed +20 +1 +run +(\S )? *forum.sql$", first)
    listed: list[dict[str, Any]] = json.loads(told(home, "runs", "list", "--format", "json"))
    assert [(one["run_id"], one["counts"]) for one in listed] == [
        (2, {"error": 1, "ok": 19}),
        (1, {"error": 1, "ok": 19}),
    ]
    assert len(json.loads(told(home, "runs", "list", "--limit", "1", "--format", "json"))) == 1


def test_a_run_is_shown(home: Path) -> None:
    text = told(home, "runs", "show", "1", "--slowest", "2")
    assert re.search(r"^status +failed, exit code 3$", text, re.MULTILINE)
    assert re.search(r"^queries +20: 19 ok, 1 failed$", text, re.MULTILINE)
    assert re.search(r"^latency +p50 110 ms +p95 200 ms", text, re.MULTILINE)
    assert re.search(r"^EVENT .* TOOK IN ALL$", text, re.MULTILINE)
    assert "Update failed after query 20:\n  Traceback:\n    boom\n" in text
    slowest = text[text.index("slowest") :].splitlines()[2:]
    assert [line.split()[2] for line in slowest] == ["7", "20"]
    shown = json.loads(told(home, "runs", "show", "1", "--format", "json"))
    assert shown["statistics"]["p50_s"] == 0.11
    assert [one["seq"] for one in shown["slowest"]] == [7, 20, 19, 18, 17]


def test_failed_queries_are_shown_with_their_errors(home: Path) -> None:
    text = told(home, "runs", "show", "--failed")
    assert re.search(r"q7 +error +forum.sql:7 +no way$", text, re.MULTILINE)
    (failed,) = json.loads(told(home, "runs", "show", "--failed", "--format", "json"))["failed"]
    assert failed["error"] == "no \x1b[31mway"


def test_a_query_that_ran_often_is_shown_once_with_its_worst(tmp_path: Path) -> None:
    make_journal(tmp_path, 3000, queries=1000)
    text = told(tmp_path, "runs", "show", "--slowest", "50")
    assert "\nslowest of 3 rounds, each over its executions\n" in text
    header, *lines = (line.split() for line in text[text.index("\nslowest") :].splitlines()[2:])
    assert header == [*("QUERY", "LABEL", "TIMES", "MEAN", "MEDIAN", "DEVIATION", "LEAST", "WORST")]
    assert len({line[0] for line in lines}) == 50
    assert {line[2] for line in lines} == {"3"}
    read = json.loads(told(tmp_path, "runs", "show", "--slowest", "1", "--format", "json"))
    (shown,) = read["slowest"]
    with Journal.open(tmp_path) as journal:
        slowest = max(journal.results(1), key=lambda one: one.elapsed_s)
        times = [one.elapsed_s for one in journal.results(1, seq=slowest.seq) if one.ok]
    assert (shown["seq"], shown["round"]) == (slowest.seq, slowest.round)
    assert shown["elapsed_s"] == slowest.elapsed_s
    assert len(read["repeats"]) == 1000
    (figures,) = (query for query in read["repeats"] if query["seq"] == slowest.seq)
    assert figures["executions"] == 3 and figures["timed"] == len(times)
    assert figures["mean_s"] == pytest.approx(sum(times) / len(times))
    assert (figures["least_s"], figures["most_s"]) == (min(times), max(times))


def test_a_table_shows_the_first_of_many_failures_and_json_all(tmp_path: Path) -> None:
    make_journal(tmp_path, 900_000, queries=900_000, firings=20_000)
    text = told(tmp_path, "runs", "show", "--failed")
    assert "\n1,500 failed queries, the first 1,000\n" in text
    assert len(text[text.index("1,500 failed") :].splitlines()) == 1002
    assert text.count("E1 failed after query") == 3
    assert "E1: 1 further failure; --format json has them all" in text
    shown = json.loads(told(tmp_path, "runs", "show", "--failed", "--format", "json"))
    assert len(shown["failed"]) == 1500
    assert len(shown["firings"]) == 20_000
    assert shown["statistics"]["exact"] is False


def test_an_empty_home_is_no_error_to_list(tmp_path: Path) -> None:
    assert "no runs" in told(tmp_path, "runs", "list")
    assert "no checkpoints" in told(tmp_path, "models", "list")
    assert told(tmp_path, "runs", "list", "--format", "json") == "[]\n"
    assert told(tmp_path, "models", "list", "--format", "json") == "[]\n"
    assert "pilot run WORKLOAD" in refused(tmp_path, "runs", "show")
    assert list(tmp_path.iterdir()) == []
