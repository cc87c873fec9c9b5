"""The replay of a workload: rounds of queries, one or several workers, and a way to stop.

A unit is what one worker runs without another in between: a single query, or a whole
`BEGIN ... COMMIT` block. Units are taken in the workload's order, or in a random one.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.config.model import RunSection
from pilotcli.databases.base import Session
from pilotcli.errors import DatabaseError, QueryError
from pilotcli.records import Query, QueryResult, QueryStatus, SteeringReport, no_queries
from pilotcli.scheduler import PilotScheduler
from pilotcli.signals import Notice

__all__ = ["Progress", "Replay", "Tally", "transaction_units"]

BLOCK_BEGINS = frozenset({"BEGIN", "START"})
BLOCK_ENDS = frozenset({"COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE"})
SLOWEST_KEPT = 10
_BLOCK_LOST = DatabaseError("not run: the connection was lost inside its transaction block")


@dataclass(slots=True)
class Tally:
    """What a run came to so far; warm-up does not count."""

    statuses: dict[QueryStatus, int] = field(default_factory=no_queries)
    query_s: float = 0.0
    steered: int = 0
    """Queries for which something was pushed."""
    ignored: int = 0
    """Pushes that were not applied."""
    native: int = 0
    """Queries that ran unsteered because their steering failed."""
    _kept: dict[int, QueryResult] = field(default_factory=dict)
    """The slowest execution of each of the slowest queries, by the query's number."""
    _least_s: float = -1.0
    """An execution up to here is none of the slowest."""

    def add(self, result: QueryResult) -> None:
        """Count one result."""
        self.statuses[result.status] += 1
        self.query_s += result.elapsed_s
        if result.steering is not None:
            self._add_steering(result.steering)
        if result.elapsed_s > self._least_s:
            self._keep(result)

    def restore(
        self,
        statuses: Mapping[QueryStatus, int],
        query_s: float,
        reports: Iterable[SteeringReport],
        slowest: Iterable[QueryResult],
    ) -> None:
        """Count the results of the earlier part of a run that is continued."""
        for status, number in statuses.items():
            self.statuses[status] += number
        self.query_s += query_s
        for report in reports:
            self._add_steering(report)
        for result in slowest:
            self._keep(result)

    def _add_steering(self, report: SteeringReport) -> None:
        if report.native is not None:
            self.native += 1
            return
        self.steered += 1
        self.ignored += len(report.ignored)

    def _keep(self, result: QueryResult) -> None:
        kept = self._kept
        before = kept.get(result.seq)
        if before is not None and before.elapsed_s >= result.elapsed_s:
            return
        kept[result.seq] = result
        if len(kept) > SLOWEST_KEPT:
            del kept[min(kept, key=lambda seq: kept[seq].elapsed_s)]
        if len(kept) == SLOWEST_KEPT:
            self._least_s = min(one.elapsed_s for one in kept.values())

    @property
    def queries(self) -> int:
        """Queries that ended in any way."""
        return sum(self.statuses.values())

    @property
    def failures(self) -> int:
        """Queries that ended otherwise than `ok`; those cancelled by the user do not count."""
        return self.queries - self.statuses["ok"] - self.statuses["cancelled"]

    @property
    def slowest(self) -> tuple[QueryResult, ...]:
        """The slowest queries, each with its slowest execution, slowest first."""
        return tuple(sorted(self._kept.values(), key=lambda one: (-one.elapsed_s, one.seq)))


def transaction_units(queries: Iterable[Query]) -> Iterator[Sequence[Query]]:
    """Group `BEGIN ... COMMIT` blocks; every other query is a unit of its own.

    A block that the workload never ends is a unit up to the workload's end.
    """
    block: list[Query] = []
    for query in queries:
        if not block and query.command not in BLOCK_BEGINS:
            yield (query,)
            continue
        block.append(query)
        if len(block) > 1 and _ends_block(query):
            yield block
            block = []
    if block:
        yield block


def _ends_block(query: Query) -> bool:
    if query.command not in BLOCK_ENDS:
        return False
    words = query.sql.upper().replace(";", " ").split()
    if query.command == "PREPARE":
        return words[1:2] == ["TRANSACTION"]
    if query.command == "ROLLBACK" and "TO" in words[1:3]:
        return False
    return not ("CHAIN" in words and "NO" not in words)


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been replayed already: by round, and by warm-up round (from 0), one byte for each
    query's number that is 1 where the query has ended."""

    rounds: Mapping[int, bytearray] = field(default_factory=dict)
    warmups: Mapping[int, bytearray] = field(default_factory=dict)


class _Begun(tuple[Query, ...]):
    """A unit whose first `again` queries have run before: they only bring the session to where it
    was, and are not recorded."""

    again = 0


def _left(
    units: Iterable[Sequence[Query]], done: bytearray, *, one_session: bool
) -> Iterator[Sequence[Query]]:
    """The units of a round that are left to do. With `one_session` the first of them is headed by
    what made the session as it was: its settings, and the beginning of an open block."""
    settings: list[Query] = []
    block: list[Query] = []
    waits = one_session
    for unit in units:
        ended = [query.seq < len(done) and done[query.seq] == 1 for query in unit]
        again = sum(ended)
        if again == len(unit):
            if one_session:
                for query in unit:
                    _remember(query, settings, block)
            continue
        head = [*settings, *block] if waits else []
        waits = False
        if not head and not again:
            yield unit
            continue
        rest = _Begun([*head, *unit])
        rest.again = len(head) + again
        yield rest


def _remember(query: Query, settings: list[Query], block: list[Query]) -> None:
    if block or query.command in BLOCK_BEGINS:
        block.append(query)
        if len(block) > 1 and _ends_block(query):
            if query.command in ("COMMIT", "END"):
                settings.extend(one for one in block if one.command in _OF_THE_SESSION)
            block.clear()
    elif query.command in _OF_THE_SESSION:
        settings.append(query)


_OF_THE_SESSION = frozenset({"SET", "RESET", "DISCARD", "PREPARE", "DEALLOCATE", "LOAD", "LISTEN"})


class _Shared(Iterator[Sequence[Query]]):
    """Hands units to several threads, each to one of them."""

    def __init__(self, units: Iterator[Sequence[Query]]) -> None:
        self._units = units
        self._lock = threading.Lock()

    def __next__(self) -> Sequence[Query]:
        with self._lock:
            return next(self._units)


class Replay:
    """Replays `workload` through `scheduler`, in as many rounds and workers as `options` say."""

    def __init__(
        self,
        scheduler: PilotScheduler,
        workload: Iterable[Query],
        options: RunSection,
        stop: threading.Event,
        progress: Progress | None = None,
    ) -> None:
        self.tally = Tally()
        self.complete = False
        """Whether every round came to its end."""
        self.begun: float | None = None
        """`time.perf_counter()` when the first round began, after warm-up."""
        self._scheduler = scheduler
        self._workload = workload
        self._options = options
        self._stop = stop
        self._progress = progress or Progress()
        self._warmup = 0
        scheduler.on_result = self.tally.add
        self._sessions: list[Session] = []
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Warm up, then replay every round. Returns early when a stop is requested.

        Raises `DatabaseError` when the database is lost for good, `WorkloadError` when the
        workload cannot be read on.
        """
        options = self._options
        # What was made until here stays: the collector need not look at it again and again.
        gc.freeze()
        first = next(iter(self._workload), None) if self._scheduler.steering.for_workload else None
        self._scheduler.before_workload(first.sql if first is not None else "")
        self._scheduler.fire_due()
        # A run that is continued in a round needs no warm-up: that was before.
        warmups = 0 if self._progress.rounds else options.warmup
        rounds = itertools.chain((0,) * warmups, range(1, options.repeat + 1))
        for number, round in enumerate(rounds):
            if self._over():
                return
            if round and self.begun is None:
                self.begun = time.perf_counter()
            self._warmup = number
            units = self._units(round)
            if options.workers > 1:
                units = _Shared(units)
            workers = [
                threading.Thread(
                    target=self._work, args=(units, round, number), name=f"pilot-worker-{number}"
                )
                for number in range(1, options.workers)
            ]
            for worker in workers:
                worker.start()
            self._work(units, round, 0)
            for worker in workers:
                worker.join()
            if self._errors:
                raise self._errors[0]
        self.complete = not self._over()

    def cancel(self) -> None:
        """Cancel the queries that are running; may be called from any thread."""
        for session in tuple(self._sessions):
            session.cancel()

    @property
    def stopped_early(self) -> bool:
        """Whether `fail_fast` ended the replay."""
        if not self._options.fail_fast:
            return False
        failed = self.tally.failures > self._options.max_failures
        return failed or bool(self._scheduler.event_runner.failures)

    def _units(self, round: int) -> Iterator[Sequence[Query]]:
        progress = self._progress
        done = progress.rounds.get(round) if round else progress.warmups.get(self._warmup)
        units = self._all_units(round)
        return units if done is None else _left(units, done, one_session=self._options.workers == 1)

    def _all_units(self, round: int) -> Iterator[Sequence[Query]]:
        options = self._options
        if options.shuffle:
            shuffled = list(transaction_units(self._workload))
            random.Random(f"{options.seed}/{round}").shuffle(shuffled)
            return iter(shuffled)
        if options.workers > 1:
            return transaction_units(self._workload)
        return ((query,) for query in self._workload)

    def _work(self, units: Iterator[Sequence[Query]], round: int, worker: int) -> None:
        session: Session | None = None
        in_block = block_lost = False
        try:
            session = self._connect()
            while not self._over():
                unit = next(units, None)
                if unit is None:
                    break
                if type(unit) is _Begun:
                    in_block = self._again(session, unit[: unit.again])
                    unit = unit[unit.again :]
                for query in unit:
                    if len(unit) > 1 and self._over():
                        break
                    refused = None
                    if block_lost:
                        refused, block_lost = _BLOCK_LOST, not _ends_block(query)
                    if session.closed:  # an event has restarted the server
                        refused = _BLOCK_LOST if in_block else refused
                        block_lost = in_block and not _ends_block(query)
                        session, in_block = self._reconnect(session), False
                    if self._one(session, query, round, worker, refused) or not session.closed:
                        if in_block or query.command in BLOCK_BEGINS:
                            in_block = not session.closed and session.in_transaction
                        continue
                    block_lost = in_block and not _ends_block(query)
                    session, in_block = self._reconnect(session), False
        except BaseException as exc:  # noqa: BLE001 - raised again by run()
            self._errors.append(exc)
            self.cancel()
        finally:
            if session is not None:
                self._leave(session)

    def _one(
        self,
        session: Session,
        query: Query,
        round: int,
        worker: int,
        refused: DatabaseError | None = None,
    ) -> bool:
        """Replay one query; whether it ended well."""
        if round == 0:
            self._scheduler.warm(session, query, self._warmup, worker)
            return not session.closed
        result, _, _ = self._scheduler.walk(session, query, round, worker, refused=refused)
        return result.status == "ok"

    def _again(self, session: Session, queries: Sequence[Query]) -> bool:
        """Bring a new session to where the one before it was; whether a block is open then."""
        for query in queries:
            with contextlib.suppress(QueryError):
                session.execute(query.sql, query.copy)
        return session.in_transaction

    def _over(self) -> bool:
        if self._stop.is_set() or self._errors:
            return True
        return self._options.fail_fast and self.stopped_early

    def _connect(self) -> Session:
        session = self._scheduler.open_session(self._options.timeout)
        self._sessions.append(session)
        return session

    def _reconnect(self, lost: Session) -> Session:
        self._sessions.remove(lost)
        if self._stop.is_set():
            return lost
        session = self._connect()
        self._scheduler.bus.emit(Notice("warning", "the connection was lost; connected again"))
        return session

    def _leave(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        try:
            if not session.closed and session.in_transaction:
                session.rollback()
        except DatabaseError as exc:
            self._scheduler.bus.emit(Notice("warning", exc.message))
        session.close()
