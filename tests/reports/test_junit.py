"""JUnit's XML is of the shape that its readers know, and says what went wrong."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from large_journal import make_journal
from written_run import HOSTILE, everything, firing, result, write_run

from pilotcli.reports.junit import write_junit
from pilotcli.storage.journal import Journal

# Elements with the attributes that the schema of Jenkins' xUnit plugin lists and pilot uses.
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"),
    },
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error"},
    "failure": set(),
    "error": set(),
}


def written(home: Path, run_id: int, reasons: tuple[str, ...] = ()) -> ElementTree.Element:
    """The file of a run, whose shape is right and whose counts add up."""
    path = home.parent / "out.xml"
    with Journal.open(home) as journal:
        write_junit(path, journal, run_id, None, reasons)
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.keys()) == ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= CHILDREN[element.tag]
    for element in (root, *root.iter("testsuite")):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        for name in ("failure", "error"):
            assert element.get(f"{name}s") == str(len(list(element.iter(name))))
        total = sum(float(case.get("time", "nan")) for case in cases)
        assert float(element.get("time", "nan")) == pytest.approx(total, abs=1e-5 * len(cases))
    for suite in root:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
    assert all(len(case) <= 1 for case in root.iter("testcase"))
    return root


def problems(root: ElementTree.Element) -> dict[str, tuple[str, str]]:
    """Of each case that has one: its element and type."""
    return {
        case.get("name", ""): (case[0].tag, case[0].get("type", ""))
        for case in root.iter("testcase")
        if len(case)
    }


def test_every_table_of_a_run(tmp_path: Path) -> None:
    root = written(tmp_path / "home", everything(tmp_path / "home"), ("any.slowdown > 5%: q1",))
    assert [suite.get("name") for suite in root] == ["queries", "events", "conditions"]
    assert problems(root)["any.slowdown > 5%"] == ("failure", "condition")


def test_what_a_server_refuses_fails_and_what_did_not_get_to_it_is_an_error(
    tmp_path: Path,
) -> None:
    statuses = {"timeout": "57014", "cancelled": "57014", "error": "42P01", "steering_error": None}
    results = [
        result(seq, status=status, sqlstate=code, error="no")
        for seq, (status, code) in enumerate(statuses.items(), 1)
    ]
    results.append(result(9, status="error", error="the connection was lost"))
    root = written(tmp_path / "home", write_run(tmp_path / "home", results, ended=("failed", 1)))
    assert problems(root) == {
        "q1": ("failure", "timeout"),
        "q2": ("failure", "cancelled"),
        "q3": ("failure", "error"),
        "q4": ("error", "steering_error"),
        "q9": ("error", "error"),
    }


def test_a_query_s_worst_round_is_told(tmp_path: Path) -> None:
    results = [
        result(1, elapsed_s=0.1),
        result(1, elapsed_s=0.3, round=2),
        result(2, elapsed_s=9.0),
        result(2, elapsed_s=0.2, round=2, status="error", error="no", sqlstate="22012"),
        result(2, elapsed_s=9.0, round=3),
    ]
    root = written(tmp_path / "home", write_run(tmp_path / "home", results))
    assert [case.get("time") for case in root.iter("testcase")] == ["0.300000", "0.200000"]
    assert problems(root) == {"q2": ("failure", "error")}


def test_failed_firings_have_their_tracebacks(tmp_path: Path) -> None:
    firings = [
        firing(1),
        firing(2, outcome="failed", error="ValueError: no", traceback="Trace\n  <line> 2"),
        firing(2, event="Other"),
    ]
    run_id = write_run(tmp_path / "home", [result(1)], firings=firings, ended=("failed", 3),
                       summary={"complete": True})  # fmt: skip
    root = written(tmp_path / "home", run_id)
    assert problems(root) == {"Update": ("failure", "event")}
    (failure,) = root.iter("failure")
    assert failure.get("message") == "1 of 2 firings failed: ValueError: no"
    assert failure.text == "Trace\n  <line> 2"


def test_text_of_others_is_text(tmp_path: Path) -> None:
    stored = HOSTILE.replace("\x00", "\x01")
    results = [result(1, label=stored, status="error", sqlstate="22012", error=stored)]
    firings = [firing(1, event=stored, outcome="failed", error=stored, traceback=stored)]
    root = written(
        tmp_path / "home", write_run(tmp_path / "home", results, firings=firings), (stored,)
    )
    readable = re.sub("[\x01\x07\x1b]", "\ufffd", stored)
    names = [case.get("name") for case in root.iter("testcase")]
    assert names[:2] == [readable, readable]
    told = [failure.text or "" for failure in root.iter("failure")]
    assert readable in told[0]
    assert told[1] == readable


@pytest.mark.parametrize(
    ("ended", "summary", "told"),
    [
        (("finished", 0), {"complete": True}, None),
        (
            ("failed", 4),
            {"complete": False, "reasons": ["the server is gone"]},
            "failed, exit code 4",
        ),
        (("interrupted", 130), {"complete": False}, "interrupted, exit code 130"),
        (("failed", 5), {"complete": True, "reasons": ["any.slowdown"]}, "failed, exit code 5"),
    ],
)
def test_a_run_that_failed_has_a_problem(
    tmp_path: Path, ended: tuple[str, int], summary: dict[str, object], told: str | None
) -> None:
    run_id = write_run(tmp_path / "home", [result(1)], ended=ended, summary=summary)
    root = written(tmp_path / "home", run_id)
    if told is None:
        assert problems(root) == {}
        return
    (error,) = root.iter("error")
    assert error.get("message") == told
    assert (error.text or "") == "\n".join(summary.get("reasons", []))  # type: ignore[arg-type]


@pytest.mark.slow
def test_tens_of_thousands_of_queries(tmp_path: Path) -> None:
    run_id = make_journal(tmp_path / "home", 45_000, queries=30_000, firings=1000)
    root = written(tmp_path / "home", run_id)
    assert len(root[0]) == 30_000
    # Each thousandth result of `make_journal` is an error, without a code of the server's; those of
    # the second round are of queries that have failed in the first.
    assert root[0].get("errors") == "30"
