"""The table of faults that were tried: which, how often, and what was lost."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FAULTS = [TESTS / "faults", TESTS / "databases" / "changes" / "test_crashes.py"]
"""The tests that try faults."""
KILLS = int(os.environ.get("FAULT_KILLS", "0"))
"""How often runs are to be killed at random moments; 0 for few."""
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
"""How often each fault is tried."""


def is_fault(path: Path) -> bool:
    """Whether the tests of a file try faults."""
    return path in FAULTS or path.parent in FAULTS


@dataclass
class _Row:
    tried: int = 0
    lost: int = 0


class FaultTable:
    """Counts by file. A test tries one fault, or as many as its property `tried` says."""

    def __init__(self) -> None:
        self._rows: dict[Path, _Row] = {}

    def add(self, path: Path, report: pytest.TestReport) -> None:
        """Count what came of a test."""
        if report.skipped or (report.when != "call" and report.passed):
            return
        row = self._rows.setdefault(path, _Row())
        row.tried += int(dict(report.user_properties).get("tried", 1))  # type: ignore[call-overload]
        row.lost += report.failed

    def lines(self) -> list[str]:
        """The table as Markdown; empty when nothing was tried."""
        if not self._rows:
            return []
        lines = ["| fault | tried | lost |", "| --- | ---: | --- |"]
        for path, row in sorted(self._rows.items()):
            docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or path.stem
            what = docstring.splitlines()[0].rstrip(".")
            lost = "nothing" if not row.lost else f"{row.lost} tests failed"
            lines.append(f"| {what} | {row.tried} | {lost} |")
        return lines
