"""The sessions of a workload: their queries keep their order, each session on one connection."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pilotcli.common.quantities import count
from pilotcli.common.records import Query
from pilotcli.replay.units import Begun, remember


@dataclass(slots=True)
class _Session:
    """What is known of a session: how many of its queries are left to take, which of them have been
    read, and what its connection must repeat first."""

    left: int = 0
    read: deque[Query] = field(default_factory=deque)
    settings: list[Query] = field(default_factory=list)
    block: list[Query] = field(default_factory=list)
    seen: bool = False


class Sessions:
    """Gives whole sessions to workers, in the order in which they begin.

    A worker that takes a session keeps it to its last query. Queries are read as far as a worker
    needs one; those of other sessions wait in memory until then. Queries without a session are a
    session together.
    """

    def __init__(self, workload: Iterable[Query], done: bytearray | None) -> None:
        """Reads the workload once to count the queries of each session; `done` as in `Progress`."""
        self._done = done
        self._sessions: dict[str | None, _Session] = {}
        spans: dict[str | None, tuple[int, int]] = {}
        for query in workload:
            if not self._has_ended(query):
                name = query.facts.session
                self._sessions.setdefault(name, _Session()).left += 1
                spans[name] = spans.get(name, (query.seq, 0))[0], query.seq
        self.most_at_once = _most_at_once(spans.values())
        """How many sessions are open at the same time in the workload, at most."""
        self._unseen = len(self._sessions)
        self._queries = iter(workload)
        self._begun: deque[_Session] = deque()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Iterator[Sequence[Query]]]:
        """Yields sessions, each as its units; several threads may take them."""
        while (session := self._next()) is not None:
            yield self._units(session)

    def explained(self, workers: int) -> str | None:
        """What happens if there are more sessions at once than workers; None if there are not."""
        if self.most_at_once <= workers:
            return None
        return (
            f"{count(self.most_at_once)} sessions are open at once in the workload, and there are "
            f"{count(workers)} connections: a session waits until another one has ended "
            f"(--workers {self.most_at_once} replays all at once)"
        )

    def _next(self) -> _Session | None:
        with self._lock:
            while not self._begun and self._unseen and self._read():
                pass
            return self._begun.popleft() if self._begun else None

    def _units(self, session: _Session) -> Iterator[Sequence[Query]]:
        again = [*session.settings, *session.block]
        while session.left:
            with self._lock:
                while not session.read and self._read():
                    pass
                if not session.read:
                    return
                query = session.read.popleft()
                session.left -= 1
            if again:
                unit = Begun([*again, query])
                unit.again, again = len(again), []
                yield unit
            else:
                yield (query,)

    def _read(self) -> bool:
        """Read one query; returns whether there was one."""
        query = next(self._queries, None)
        if query is None:
            return False
        session = self._sessions.get(query.facts.session)
        if session is None:  # all of it has ended
            return True
        if self._has_ended(query):
            remember(query, session.settings, session.block)
            return True
        if not session.seen:
            session.seen = True
            self._unseen -= 1
            self._begun.append(session)
        session.read.append(query)
        return True

    def _has_ended(self, query: Query) -> bool:
        done = self._done
        return done is not None and query.seq < len(done) and done[query.seq] == 1


def _most_at_once(spans: Iterable[tuple[int, int]]) -> int:
    """How many of these spans overlap, at most."""
    steps = sorted(step for first, last in spans for step in ((first, 1), (last + 0.5, -1)))
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most
