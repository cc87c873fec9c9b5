"""The answers of a query in the arms of a paired run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilotcli.analysis.fixed import fixed_rows
from pilotcli.analysis.result_digest import answer_of, comparable, same_rows
from pilotcli.common.records import Query
from pilotcli.databases.protocols import Rows
from pilotcli.replay.answers import AnswerDigests

ROWS_KEPT = 1_000
"""The most rows that wait for the other arms' results, when the arms take turns by rounds."""

RowsOf = Callable[[], Sequence[tuple[object, ...]]]


def always(rows: Sequence[tuple[object, ...]]) -> RowsOf:
    return lambda: rows


class ArmAnswers:
    """Makes the digests of a query's rows in all arms, so that equal digests are equal answers.

    The rows of the first arm are kept until the others have run; with `bounded` only up to 1,000
    rows. If the digests differ, and the rows differ only in the last digits of floats, the later
    arm gets the digest of the first; so too for the part that the query determines.
    """

    def __init__(self, digests: AnswerDigests, *, bounded: bool) -> None:
        self._digests = digests
        self._bounded = bounded
        self._first: tuple[str, RowsOf] | None = None

    def continue_after(self, digest: str, rows: RowsOf) -> None:
        """Continue with the digest that the first arm had in an earlier part of the run; `rows` is
        called for its rows, where they are needed. Does nothing if there is a first arm."""
        self._first = self._first or (digest, rows)

    def __call__(self, query: Query, rows: Rows) -> str:
        fixed = self._digests.fixed(query)
        digest = answer_of(rows, fixed)
        if self._first is None:
            many = self._bounded and len(rows.rows) > ROWS_KEPT
            self._first = digest, always(() if many else comparable(rows))
            return digest
        before, rows_before = self._first
        if digest != before and (others := rows_before()):
            own = comparable(rows)
            if same_rows(others, own):
                digest = before
            elif fixed.count and not fixed.rows:
                parts = (fixed_rows(each, rows.columns, fixed) for each in (others, own))
                if same_rows(*parts):
                    digest = f"{before.partition('/')[0]}/{digest.partition('/')[2]}"
        return digest
