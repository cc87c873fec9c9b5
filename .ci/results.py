"""Counts the tests of JUnit reports, and lays them out as a table."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SUITES = {
    "planner": "tests/steering/planner/",
    "sub-plans": "tests/steering/subplans/",
    "steering": "tests/steering/",
    "changes": "tests/databases/changes/",
    "databases": "tests/databases/",
    "doctor": "tests/checks/",
    "demos": "tests/demo/",
}
"""The tests that are about servers, by folder; the first that holds a file counts it."""
FOLDERS = [at for at in SUITES.values() if at.count("/") == 2]


@dataclass(frozen=True)
class Case:
    """One test. `outcome` is passed, failed or skipped; `reason` says why it was skipped."""

    file: str
    name: str
    outcome: str
    reason: str = ""

    @property
    def suite(self) -> str | None:
        """The suite that counts it."""
        return next((name for name, at in SUITES.items() if self.file.startswith(at)), None)

    @property
    def on_installed(self) -> bool:
        """Whether it ran on the machine's own PostgreSQL, and not on the wheel's."""
        return "[installed" in self.name or "-installed" in self.name


@dataclass
class Row:
    """What came of one server or Python; `missing` says why it could not be had."""

    title: str
    cases: list[Case] = field(default_factory=list)
    missing: str = ""
    broken: str = ""

    @property
    def failed(self) -> bool:
        """Whether a test failed, or the tests did not end as they should."""
        return bool(self.broken) or any(case.outcome == "failed" for case in self.cases)

    def cells(self, suites: Iterable[str]) -> list[str]:
        """The counts of each suite: 12 passed, `10, 2 FAILED`, `10, 2 skipped`."""
        return [_cell([case for case in self.cases if case.suite == name]) for name in suites]


def counted(report: Path) -> list[Case]:
    """The tests of a JUnit report that pytest wrote."""
    return [_case(element) for element in ElementTree.parse(report).iter("testcase")]


def _case(element: ElementTree.Element) -> Case:
    outcome, reason = "passed", ""
    for child in element:
        if child.tag in ("failure", "error"):
            outcome = "failed"
        elif child.tag == "skipped" and outcome == "passed":
            outcome, reason = "skipped", child.get("message", "")
    # A file that is skipped as a whole has its module as its name.
    module = element.get("classname") or element.get("name") or ""
    return Case(module.replace(".", "/") + ".py", element.get("name") or "", outcome, reason)


def _cell(cases: Sequence[Case]) -> str:
    outcomes = Counter(case.outcome for case in cases)
    if not outcomes:
        return "-"
    words = [str(outcomes["passed"])]
    if outcomes["failed"]:
        words.append(f"{outcomes['failed']} FAILED")
    if outcomes["skipped"]:
        words.append(f"{outcomes['skipped']} skipped")
    return ", ".join(words)


def markdown(rows: Sequence[Row]) -> list[str]:
    """The table of versions and suites, as Markdown with columns of equal width."""
    lines = [["PostgreSQL", *SUITES]]
    for row in rows:
        if row.missing:
            lines.append([row.title, "NOT TO BE HAD", *[""] * (len(SUITES) - 1)])
        else:
            lines.append([row.title, *row.cells(SUITES)])
    return columns(lines)


def columns(lines: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table of a head and rows, with columns of equal width."""
    head, *rows = lines
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    rule = ["-" * width for width in widths]
    return [
        "| "
        + " | ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        + " |"
        for line in (head, rule, *rows)
    ]


def table(servers: Sequence[Row], pythons: Sequence[Row]) -> list[str]:
    """All that is printed at the end: servers, Pythons, reasons of skipped tests, failures."""
    lines = markdown(servers) if servers else []
    for row in pythons:
        lines.append(f"{row.title}: " + ("NOT TO BE HAD" if row.missing else _cell(row.cases)))
    rows = [*servers, *pythons]
    lines += ["", *skips(rows)]
    for row in rows:
        if row.missing:
            lines.append(f"{row.title} IS NOT TO BE HAD: {row.missing}")
        if row.broken:
            lines.append(f"{row.title} FAILED: {row.broken}")
        for case in row.cases:
            if case.outcome == "failed":
                lines.append(f"{row.title} FAILED: {case.file}::{case.name}")
    return lines


def skips(rows: Sequence[Row]) -> list[str]:
    """A line for each reason for which tests were skipped, with the number of tests by row."""
    reasons: dict[str, Counter[str]] = {}
    for row in rows:
        for case in row.cases:
            if case.outcome == "skipped":
                reasons.setdefault(case.reason, Counter())[row.title] += 1
    return [
        f"skipped: {reason} ("
        + ", ".join(f"{count} on {title}" for title, count in found.items())
        + ")"
        for reason, found in sorted(reasons.items())
    ]
