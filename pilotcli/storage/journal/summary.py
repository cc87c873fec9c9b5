"""A run's counts and latencies, collected while it runs, to avoid reading millions of results."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from pilotcli.common.records import QueryStatus
from pilotcli.storage.journal.rows import USUAL_COLUMNS

SLOWEST_KEPT = 100
"""The slowest queries that a summary knows."""
SAVE_AFTER = 20_000
"""Results after which a summary is saved again; about so many at most are read to complete it."""

TIMED: tuple[QueryStatus, QueryStatus] = ("ok", "timeout")
"""The statuses whose latency counts: the query ended by itself or at its time-out."""
_READ = ("result", "seq", "elapsed_s")
_RESULT, _SEQ, _ELAPSED_S = map(USUAL_COLUMNS.index, _READ)
_UPPER_HALVES = slice(1 if sys.byteorder == "little" else 0, None, 2)


class RunSummary:
    """Counts of a run's results up to the number `upto`, their latencies, and the slowest queries.

    Latencies are counted by the upper 16 bits of their single-precision form (IEEE 754: the sign,
    8 bits of exponent, 7 of fraction). Such a bucket is 1/128 wide, so that the value in its middle
    is within 0.4 % of each latency in it, and to find the buckets of a thousand latencies takes a
    copy and no arithmetic. Memory does not grow with the run.
    """

    def __init__(self) -> None:
        self.upto = 0
        self.saved = 0
        """The number of the result up to which the summary is in the journal."""
        self.counts: Counter[QueryStatus] = Counter()
        self.query_s = 0.0
        """The sum of all latencies."""
        self.max_s = 0.0
        self._buckets: Counter[int] = Counter()
        self._slowest: dict[int, tuple[float, int]] = {}
        """By a query's number: its worst latency, and the number of that result."""
        self._least_s = -1.0
        """Latencies up to this one are none of the slowest."""

    def add(self, status: QueryStatus, rows: Sequence[Sequence[Any]]) -> None:
        """Count results in their order, rows of `USUAL_COLUMNS` that all ended as `status`."""
        if not rows:
            return
        latencies = [row[_ELAPSED_S] for row in rows]
        worst_s = max(latencies)
        self.upto = max(self.upto, rows[-1][_RESULT])
        self.counts[status] += len(rows)
        self.query_s += sum(latencies)
        if status in TIMED:
            self.max_s = max(self.max_s, worst_s)
            halves = memoryview(array("f", latencies)).cast("B").cast("H")
            self._buckets.update(halves[_UPPER_HALVES])
        if worst_s > self._least_s:
            self._keep([row for row in rows if row[_ELAPSED_S] > self._least_s])

    def add_mixed(self, rows: Iterable[Sequence[Any]], place: int) -> None:
        """Count results, each with its status at `place`."""
        by_status: dict[QueryStatus, list[Sequence[Any]]] = {}
        for row in rows:
            by_status.setdefault(row[place], []).append(row)
        for status, own in by_status.items():
            self.add(status, own)

    def percentiles(self, *shares: float) -> list[float | None]:
        """The percentiles, in seconds, for each of `shares` (rising, 0 to 1), over the latencies of
        results that ended `ok` or at their time-out: by nearest rank, within 0.4 %; None without
        any."""
        total = self._buckets.total()
        found: list[float | None] = []
        ranks = [max(1, math.ceil(share * total)) for share in shares]
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            while len(found) < len(ranks) and seen >= ranks[len(found)]:
                found.append(min(_middle_s(bucket), self.max_s))
        return found or [None] * len(shares)

    def slowest(self, limit: int) -> list[int]:
        """The numbers of the slowest queries' worst results, slowest first: one for each query,
        `SLOWEST_KEPT` at most."""
        kept = sorted(self._slowest.values(), key=lambda worst: (-worst[0], worst[1]))
        return [result for _, result in kept[:limit]]

    def as_json(self) -> str:
        """Everything but `upto`, for the journal."""
        slowest = [(seq, *worst) for seq, worst in self._slowest.items()]
        content = {
            "counts": self.counts,
            "query_s": self.query_s,
            "max_s": self.max_s,
            "buckets": sorted(self._buckets.items()),
            "slowest": slowest,
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def of_json(cls, upto: int, text: str) -> RunSummary:
        """The summary that `as_json` wrote. Raises `ValueError`, `KeyError` or `TypeError` for
        other text."""
        summary, content = cls(), json.loads(text)
        summary.upto = summary.saved = upto
        summary.counts.update(content["counts"])
        summary.query_s, summary.max_s = content["query_s"], content["max_s"]
        summary._buckets.update(dict(content["buckets"]))
        summary._slowest = {
            seq: (elapsed_s, result) for seq, elapsed_s, result in content["slowest"]
        }
        summary._drop_the_fastest()
        return summary

    def _keep(self, rows: Iterable[Sequence[Any]]) -> None:
        kept = self._slowest
        found: set[int] = set()
        for row in sorted(rows, key=itemgetter(_ELAPSED_S), reverse=True):
            seq, elapsed_s = row[_SEQ], row[_ELAPSED_S]
            found.add(seq)
            if len(found) > SLOWEST_KEPT:
                break
            if seq not in kept or kept[seq][0] < elapsed_s:
                kept[seq] = elapsed_s, row[_RESULT]
        self._drop_the_fastest()

    def _drop_the_fastest(self) -> None:
        kept = self._slowest
        if len(kept) > SLOWEST_KEPT:
            slowest = sorted(kept.items(), key=itemgetter(1), reverse=True)
            self._slowest = kept = dict(slowest[:SLOWEST_KEPT])
        if len(kept) == SLOWEST_KEPT:
            self._least_s = min(elapsed_s for elapsed_s, _ in kept.values())


def read_summary(connection: sqlite3.Connection, run_id: int) -> RunSummary:
    """Returns the summary of the run `run_id`: the saved one, completed from the results after it.
    Raises `sqlite3.Error`."""
    summary = _saved_summary(connection, run_id)
    columns = ", ".join(name if name in _READ else "NULL" for name in USUAL_COLUMNS)
    rest = connection.execute(
        f"SELECT {columns}, status FROM results "  # noqa: S608
        "WHERE run_id = ? AND result > ? ORDER BY result",
        (run_id, summary.upto),
    )
    while rows := rest.fetchmany(SAVE_AFTER):
        summary.add_mixed(rows, len(USUAL_COLUMNS))
    return summary


def save_summary(connection: sqlite3.Connection, run_id: int, summary: RunSummary) -> None:
    """Save `summary`, unless a later one is saved. Raises `sqlite3.Error`."""
    connection.execute(
        "INSERT INTO summaries VALUES (?, ?, ?) ON CONFLICT (run_id) DO UPDATE "
        "SET upto = excluded.upto, summary = excluded.summary WHERE excluded.upto >= upto",
        (run_id, summary.upto, summary.as_json()),
    )
    summary.saved = summary.upto


def _saved_summary(connection: sqlite3.Connection, run_id: int) -> RunSummary:
    # The journal of an older pilot that is only read has no such table.
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'summaries'").fetchone():
        return RunSummary()
    saved = connection.execute(
        "SELECT upto, summary FROM summaries WHERE run_id = ?", (run_id,)
    ).fetchone()
    try:
        return RunSummary() if saved is None else RunSummary.of_json(*saved)
    except (ValueError, KeyError, TypeError):  # damaged: the results themselves are read
        return RunSummary()


def _middle_s(bucket: int) -> float:
    lower, upper = struct.unpack(">ff", struct.pack(">HHHH", bucket, 0, bucket + 1, 0))
    return float(lower + upper) / 2
