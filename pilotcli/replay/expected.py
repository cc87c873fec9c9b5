"""Checks the answers of queries against those that are expected.

Expected answers stand in the workload (`QueryFacts.expect`), or come from an earlier run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from pilotcli.analysis.result_digest import COUNTED_ONLY, compare_answers
from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import plural
from pilotcli.common.records import Query
from pilotcli.common.signals import Bus, Notice
from pilotcli.common.sql_commands import command_of
from pilotcli.databases.protocols import Rows
from pilotcli.replay.answers import AnswerDigests
from pilotcli.storage.journal import JournalReader
from pilotcli.storage.journal.rows import text_in_journal

_COUNT = re.compile(r"\d+")
_ROWS = re.compile(r"(\d+)\s+rows?")
_PART = rf"\d+:(?:[0-9a-f]{{32}}|{COUNTED_ONLY})"
_DIGEST = re.compile(rf"(?:{_PART})?/{_PART}|{_PART}")

Earlier = Mapping[int, str]
"""The answers of an earlier run, by `query_key`."""


def query_key(label: str, sql: str) -> int:
    """What a query of two runs has in common: its label and its text."""
    return hash((label, text_in_journal(sql)))


def answers_of(journal: JournalReader, run_id: int) -> tuple[dict[int, str], int]:
    """The answers that a run has kept, from the first execution of each query that ended well, and
    of how many of them only the number of rows is known."""
    keys = {
        query.seq: query_key(query.label, query.sql)
        for query in journal.queries(run_id)
        if command_of(query.command).compared
    }
    found: dict[int, str] = {}
    counted = 0
    for result in journal.results(run_id, status="ok"):
        key = keys.get(result.seq)
        if key is None or key in found:
            continue
        if result.answer is not None:
            found[key] = result.answer
        elif result.row_count is not None:
            found[key] = f"{result.row_count}:{COUNTED_ONLY}"
            counted += 1
    return found, counted


def checked_expectation(query: Query) -> str | None:
    """The answer that the workload expects of a query. Raises `WorkloadError` for a text that is
    none."""
    text = query.facts.expect
    if text is None:
        return None
    text = text.strip()
    if any(form.fullmatch(text) for form in (_COUNT, _ROWS, _DIGEST)):
        return text
    raise WorkloadError(
        f"{query.label} expects {text[:60]!r}, which is no answer",
        file=query.file,
        line=query.line,
        hint="Write a number (5), a number of rows (5 rows), or the digest of an earlier run's "
        "result (`answer` in `pilot runs export`).",
    )


class Expectations:
    """Compares rows with what is expected of them."""

    def __init__(self, digests: AnswerDigests, bus: Bus, earlier: Earlier | None = None) -> None:
        self._digests = digests
        self._bus = bus
        self._earlier = earlier or {}
        self._warned = False
        self.checked = 0
        """Answers that were compared with an expected one."""

    def of(self, query: Query) -> str | None:
        """The answer that is expected of a query. Raises `WorkloadError` as
        `checked_expectation`."""
        expected = checked_expectation(query) if query.facts.expect is not None else None
        if expected is None and self._earlier:
            expected = self._earlier.get(query_key(query.label, query.sql))
        return expected

    def check(
        self, query: Query, expected: str, rows: Rows, answer: str | None
    ) -> tuple[str | None, str | None]:
        """Returns what is wrong with the rows, None for nothing, and their digest, where it is
        known (`answer`) or was needed."""
        self.checked += 1
        if _COUNT.fullmatch(expected) or _ROWS.fullmatch(expected):
            one = None if "row" in expected else _one_number(rows)
            if one is _NOT_KEPT:
                self._warn(
                    "`collect.max_rows: 0` keeps no rows, so expected counts are not checked"
                )
                return None, answer
            wanted = int(_COUNT.match(expected)[0])  # type: ignore[index]
            found = rows.row_count if one is None else one
            if found == wanted:
                return None, answer
            shown = str(one) if one is not None else _counted(rows.row_count)
            return f"wrong answer: expected {expected}, found {shown}", answer
        answer = answer or self._digests(query, rows)
        if COUNTED_ONLY in expected or COUNTED_ONLY in answer:
            counts = [part.partition("/")[0].partition(":")[0] for part in (expected, answer)]
            if COUNTED_ONLY not in expected:
                self._warn("`collect.max_rows` is set, so only the number of rows is checked")
            if "" in counts or counts[0] == counts[1]:
                return None, answer
            wanted_text, found_text = (_counted(int(number)) for number in counts)
            return f"wrong answer: expected {wanted_text}, found {found_text}", answer
        if compare_answers(answer, expected) != "different":
            return None, answer
        return f"wrong answer: expected the rows {expected}, found {answer}", answer

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self._bus.emit(Notice("warning", text))


_NOT_KEPT = Decimal("NaN")
"""The number of a result whose row was not kept."""


def _one_number(rows: Rows) -> int | Decimal | None:
    """The whole number that a result consists of; None for any other result."""
    if rows.row_count != 1 or len(rows.description or ()) != 1:
        return None
    if not rows.rows:
        return _NOT_KEPT
    value = rows.rows[0][0]
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    return value if type(value) is int else None


def _counted(number: int | None) -> str:
    return "no rows that can be counted" if number is None else plural(number, "row")
