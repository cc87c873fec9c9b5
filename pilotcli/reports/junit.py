"""JUnit's XML: the queries and events of a run as cases, as CI systems read it.

One suite for the queries, each a case with its worst execution; one for the events, each a case;
where conditions (`--fail-if`) hold, one for these; and one for the run itself when it did not come
to its end, or failed for a reason that is none of the others.

Elements and attributes are those that the JUnit plugins of Jenkins and GitLab know.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.xmlreader import AttributesImpl

from pilotcli.analysis.comparison import Comparison
from pilotcli.common.errors import PilotError
from pilotcli.common.records import QueryResult
from pilotcli.common.unsafe import undirected
from pilotcli.reports.files import whole_file
from pilotcli.storage.journal import EventTotals, JournalReader, RunRecord

if TYPE_CHECKING:
    from xml.sax.saxutils import XMLGenerator

FAILURES_SHOWN = 20
# What XML 1.0 does not allow or discourages (https://www.w3.org/TR/xml/#charsets).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case: `problem` is None, or its element (`failure`, `error`), its type, a line, and
    the rest."""

    name: str
    place: str
    time_s: float
    problem: tuple[str, str, str, str] | None = None


def write_junit(
    path: Path,
    journal: JournalReader,
    run_id: int,
    comparison: Comparison | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """Write the run to `path`, whole or not at all; `reasons` are the conditions that hold.

    A query is a failure when it failed, ran into its time-out, or gave other rows than the
    baseline; an error when its steering failed or its connection was lost. Raises `StorageError`.
    """
    record = journal.run(run_id)
    suites = [
        ("queries", list(_queries(journal, run_id, comparison))),
        ("events", [_event(event) for event in journal.event_totals(run_id, FAILURES_SHOWN)]),
        ("conditions", list(map(_condition, reasons))),
    ]
    suites.append(("run", list(_run(record, [case for _, own in suites for case in own]))))
    _write_suites(path, f"pilot run {run_id}", record.started_at, suites)


def write_not_begun(path: Path, problem: PilotError) -> None:
    """Write that the run did not begin to `path`, as its only case. Raises `StorageError`."""
    line = problem.message.splitlines()[0] if problem.message else type(problem).__name__
    text = f"{problem.message}\n{problem.hint or ''}"
    case = _Case("begins", "pilot", 0.0, ("error", "run", f"did not begin: {line}", text))
    _write_suites(path, "pilot run", time.time(), [("run", [case])])


def _write_suites(
    path: Path, name: str, started_at: float, suites: Sequence[tuple[str, Sequence[_Case]]]
) -> None:
    from xml.sax.saxutils import XMLGenerator  # it imports urllib

    cases = [case for _, own in suites for case in own]
    began = datetime.fromtimestamp(started_at, timezone.utc)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        xml.startDocument()
        xml.startElement("testsuites", AttributesImpl({"name": name, **_totals(cases)}))
        for suite, own in suites:
            if not own:
                continue
            about = {
                "name": suite,
                **_totals(own),
                "skipped": "0",
                "timestamp": f"{began:%Y-%m-%dT%H:%M:%S}",
                "hostname": platform.node(),
            }
            xml.startElement("testsuite", AttributesImpl(about))
            for case in own:
                _write(xml, case)
            xml.endElement("testsuite")
        xml.endElement("testsuites")
        xml.endDocument()


def _queries(journal: JournalReader, run_id: int, comparison: Comparison | None) -> Iterator[_Case]:
    compared = {query.seq: query for query in comparison.queries} if comparison is not None else {}
    worst: dict[int, QueryResult] = {}
    for result in journal.results(run_id):
        known = worst.get(result.seq)
        if known is None or (known.ok, -known.elapsed_s) > (result.ok, -result.elapsed_s):
            worst[result.seq] = result
    for seq, result in sorted(worst.items()):
        place = f"{result.file}:{result.line}" if result.file else "queries"
        problem: tuple[str, str, str, str] | None = None
        if not result.ok:
            # An error that has no code of the server's is a connection that was lost.
            unjudged = result.status == "error" and result.sqlstate is None
            element = "error" if unjudged or result.status == "steering_error" else "failure"
            message = f"{result.status}: {result.error or ''}".rstrip(": ")
            problem = (element, result.status, message, f"{place}\n{message}")
        elif seq in compared and compared[seq].answers == "different":
            message = "other rows than the baseline"
            problem = ("failure", "answer", message, f"{place}\n{message}")
        yield _Case(result.label, place, result.elapsed_s, problem)


def _condition(reason: str) -> _Case:
    condition, _, why = reason.partition(": ")
    return _Case(condition, "pilot", 0.0, ("failure", "condition", reason, why))


def _run(record: RunRecord, others: Sequence[_Case]) -> Iterator[_Case]:
    """A case for a run that failed, unless others say all of it."""
    if record.exit_code == 0:
        return
    whole = record.exit_code is not None and record.summary.get("complete", True)
    if whole and any(case.problem is not None for case in others):
        return
    code = "" if record.exit_code is None else f", exit code {record.exit_code}"
    reasons = "\n".join(str(reason) for reason in record.summary.get("reasons", ()))
    problem = ("error", "run", record.outcome + code, reasons)
    yield _Case("ends well", "pilot", record.elapsed_s or 0.0, problem)


def _event(event: EventTotals) -> _Case:
    if not event.failed:
        return _Case(event.event, event.kind.value, event.duration_s)
    first = event.failures[0] if event.failures else None
    message = f"{event.failed} of {event.fired} firings failed"
    if first is not None and first.error:
        message += f": {first.error}"
    traces = [firing.traceback or firing.error or "" for firing in event.failures]
    return _Case(
        event.event,
        event.kind.value,
        event.duration_s,
        ("failure", "event", message, "\n\n".join(traces)),
    )


def _totals(cases: Sequence[_Case]) -> dict[str, str]:
    kinds = [case.problem[0] for case in cases if case.problem is not None]
    return {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "time": f"{sum(case.time_s for case in cases):.6f}",
    }


def _write(xml: XMLGenerator, case: _Case) -> None:
    attributes = {
        "name": _allowed(case.name),
        "classname": _allowed(case.place),
        "time": f"{case.time_s:.6f}",
    }
    xml.startElement("testcase", AttributesImpl(attributes))
    if case.problem is not None:
        element, kind, message, text = case.problem
        xml.startElement(element, AttributesImpl({"message": _allowed(message), "type": kind}))
        xml.characters(_allowed(text))
        xml.endElement(element)
    xml.endElement("testcase")


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", undirected(text))
