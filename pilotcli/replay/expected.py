"""Checks the answers of queries against those that are expected.

Expected answers stand in the workload (`QueryFacts.expect`), or come from an earlier run.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pilotcli.analysis.result_digest import compare_answers
from pilotcli.common.quantities import plural
from pilotcli.common.records import Query
from pilotcli.common.signals import Bus, Notice
from pilotcli.common.sql_commands import command_of
from pilotcli.databases.protocols import Rows
from pilotcli.replay.answers import AnswerDigests
from pilotcli.storage.journal import JournalReader
from pilotcli.storage.journal.rows import text_in_journal
from pilotcli.workload.expected_texts import COUNT, COUNTED_ONLY, ROWS, expected_text

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
        """The answer that is expected of a query. Raises `WorkloadError` for a text that is
        none."""
        text = query.facts.expect
        if text is not None:
            return expected_text(text, query.file, query.line)
        return self._earlier.get(query_key(query.label, query.sql)) if self._earlier else None

    def check(
        self, query: Query, expected: str, rows: Rows, answer: str | None
    ) -> tuple[str | None, str | None]:
        """Returns what is wrong with the rows, None for nothing, and their digest, where it is
        known (`answer`) or was needed."""
        self.checked += 1
        if COUNT.fullmatch(expected) or ROWS.fullmatch(expected):
            one = None if "row" in expected else _one_number(rows)
            if one is _NOT_KEPT:
                self._warn(
                    "`collect.max_rows: 0` keeps no rows, so expected counts are not checked"
                )
                return None, answer
            wanted = int(COUNT.match(expected)[0])  # type: ignore[index]
            found = rows.row_count if one is None else one
            if found == wanted:
                return None, answer
            shown = str(one) if one is not None else _counted(rows.row_count)
            if "row" not in expected and one is None and _is_one_value(rows):
                shown += f" with {_value_text(rows.rows[0][0])}"
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


_SHOWN_CHARS = 60
_NOT_KEPT = Decimal("NaN")
"""The number of a result whose row was not kept."""


def _one_number(rows: Rows) -> int | Decimal | None:
    """The whole number that a result consists of; None for any other result."""
    if not _is_one_value(rows):
        return None
    if not rows.rows:
        return _NOT_KEPT
    value = rows.rows[0][0]
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    return value if type(value) is int else None


def _is_one_value(rows: Rows) -> bool:
    return rows.row_count == 1 and len(rows.description or ()) == 1


def _value_text(value: object) -> str:
    """A value that is no whole number, for a message: `5.4`, `'5'`, `NULL`."""
    if value is None:
        return "NULL"
    number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    text = str(value)
    text = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return text if number else repr(text)


def _counted(number: int | None) -> str:
    return "no rows that can be counted" if number is None else plural(number, "row")
