from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common import records, signals
from pilotcli.common.records import EventKind
from pilotcli.views.jsonl import JsonlView, field_names, signal_name

DOC = Path(__file__).parents[2] / "docs" / "signals.md"
OBJECTS = {
    "query": records.Query,
    "result": records.QueryResult,
    "steering": records.SteeringReport,
    "slowed query": signals.SlowedQuery,
    "event": signals.EventInfo,
    "model": signals.ModelInfo,
    "version": records.ModelVersion,
}
SIGNALS = {
    signal_name(cls): cls
    for cls in signals.Signal.__subclasses__()
    if cls.__module__ == "pilotcli.common.signals"
}


def written(*sent: object, **options: Any) -> list[dict[str, Any]]:
    stream = io.StringIO()
    with JsonlView(stream, wall=lambda: 1_700_000_000.123456789, **options) as view:
        for signal in sent:
            view(signal)
    return [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]


def documented() -> dict[str, list[str]]:
    """The keys of each section of the document that is a signal or an object."""
    sections = re.split(r"^#{2,3} ", DOC.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        title, _, body = section.partition("\n")
        keys = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", body, flags=re.MULTILINE)
        if keys:
            found[title.strip()] = keys
    return found


def test_the_document_and_the_signals_agree() -> None:
    classes: Mapping[str, type] = {**SIGNALS, **OBJECTS}
    assert len(SIGNALS) >= 17
    assert documented() == {name: list(field_names(cls)) for name, cls in classes.items()}


def test_a_finished_query(make: Any) -> None:
    (line,) = written(make.finished(3, "error", error="no\nsuch", sqlstate="42P01"))
    assert line == {
        "v": 1,
        "signal": "query_finished",
        "time": 1_700_000_000.123457,
        "query": {"seq": 3, "label": "q3", "file": "w.sql", "line": 3, "command": ""},
        "result": {
            "seq": 3, "label": "q3", "status": "error", "started_at": 1_700_000_000.0,
            "elapsed_s": 0.01, "row_count": None, "error": "no\nsuch", "sqlstate": "42P01",
            "inference_s": 0.0, "collection_s": 0.0, "round": 1, "worker": 0,
            "file": "w.sql", "line": 3, "steering": None, "attempts": 1,
            "planning_s": None, "execution_s": None, "steering_s": 0.0, "answer": None,
            "wait_s": 0.0, "logged": None,
        },
    }  # fmt: skip


def test_every_field_of_a_signal_comes_back(make: Any) -> None:
    sent = [
        make.started(events=2, models=1),
        make.triggered(outcome="failed", error="ValueError: x", traceback="Traceback ..."),
        signals.ModelSaved(
            "model0", "Event0", 5, make.version(2, metrics={"mae": 1.5}), {"mae": 1.5}
        ),
        make.ended(slowest=(make.finished().result,), reasons=("one", "two")),
    ]
    lines = written(*sent)
    for signal, line in zip(sent, lines, strict=True):
        expected = {"v": 1, "signal": signal_name(type(signal)), **dataclasses.asdict(signal)}
        if isinstance(signal, signals.RunFinished):
            expected["slowest"] = [one._asdict() for one in signal.slowest]
        line.pop("time")
        assert line == json.loads(json.dumps(expected, default=str))
    assert lines[1]["kind"] == "query_finish"
    assert lines[2]["version"]["path"] == "m"


def test_the_statement_is_there_only_when_asked_for(make: Any) -> None:
    signal = signals.QueryStarted(make.query())
    assert "sql" not in written(signal)[0]["query"]
    assert written(signal, verbose=True)[0]["query"]["sql"] == "select 1"


def test_what_json_lacks_is_null_and_odd_values_do_not_raise() -> None:
    np = pytest.importorskip("numpy")
    nan, inf = float("nan"), float("inf")
    metrics = {"a": nan, "b": -inf, 3: np.float32(0.5), "d": np.int64(4), "e": np.float64(nan)}
    (line,) = written(signals.ModelSaved("m", "e", 1, None, metrics))  # type: ignore[arg-type]
    assert line["metrics"] == {"a": None, "b": None, "3": 0.5, "d": 4, "e": None}
    (line,) = written(signals.Notice(object(), {1, 2}))  # type: ignore[arg-type]
    assert line["text"] == "{1, 2}"


def test_what_is_no_signal_is_left_out() -> None:
    assert written("text", None, EventKind.PRETRAINING, object()) == []


def test_output_is_ascii_without_control_characters() -> None:
    stream = io.StringIO()
    text = "東京 \x1b[31m \x9b \u2028 \ud83d"
    JsonlView(stream)(signals.DriverOutput(text))
    assert stream.getvalue().isascii()
    assert stream.getvalue().rstrip("\n").isprintable()
    assert json.loads(stream.getvalue())["text"] == text
