"""The arms of a paired run: their runs, and the sessions in which workers replay them."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.common.records import ModelVersion, Query, QueryResult
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import Session
from pilotcli.replay.observers import RunObserver
from pilotcli.replay.tally import Tally
from pilotcli.replay.worker import Worker
from pilotcli.run.model_rollback import RegressionWatch
from pilotcli.run.paired_answer import ArmAnswers
from pilotcli.run.paired_resume import LeftOfArm
from pilotcli.run.run import OpenRun


@dataclass(slots=True, eq=False)
class Arm:
    """An arm of a paired run: its run, its name for the user, its open sessions, and its counts."""

    run: OpenRun
    name: str
    database: tuple[object, ...]
    """Identifies the database that it works on."""
    sessions: list[Session] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def learns(self) -> bool:
        """Whether it has events, which may train its models."""
        return bool(self.run.driver.events)


def database_of(run: OpenRun) -> tuple[object, ...]:
    """Identifies the database that a run works on: two runs on one read what the other writes."""
    sql = "SELECT current_database(), pg_postmaster_start_time(), inet_server_port()"
    return tuple(run.scheduler.db_controller.execute(sql, fetch=True)[0])


def order_of(arms: Sequence[Arm], seed: int, turn: int, round: int) -> Sequence[Arm]:
    """Returns the order in which the arms take the turn `turn`: a random one, in which the first is
    another one in each round."""
    order = list(arms)
    random.Random(f"{seed}/{turn}").shuffle(order)
    first = round % len(order)
    return order[first:] + order[:first]


@dataclass(slots=True, eq=False)
class Seat:
    """The place of an arm in one of the workers: its session, and what is left for it to do."""

    arm: Arm
    worker: Worker
    left: LeftOfArm


Seats = Mapping[Arm, Seat]
"""The seats of all arms in one worker."""


@contextlib.contextmanager
def seated(
    arms: Sequence[Arm], options: RunSection, stop: threading.Event
) -> Iterator[Sequence[Seats]]:
    """Opens a session for each arm in each of the workers; closes them at the end."""
    with contextlib.ExitStack() as stack:
        workers = []
        for number in range(options.workers):
            seats = {}
            for arm in arms:
                worker = Worker(arm.run.scheduler, options, stop, arm.sessions, number)
                stack.callback(worker.leave)
                worker.connect()
                left = LeftOfArm(arm.run, worker, one_session=options.workers == 1)
                seats[arm] = Seat(arm, worker, left)
            workers.append(seats)
        yield workers


@dataclass(slots=True)
class Pending:
    """A query that has not ended in all arms: its results so far, and its answers."""

    answers: ArmAnswers
    results: dict[Arm, QueryResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Halves(RunObserver):
    """Passes the results of the driver's arm, or of its first baseline, to `watch`: as halves of
    pairs, or, if only the driver's arm runs a query, as whole results."""

    watch: RegressionWatch
    driver: bool
    in_pair: Callable[[QueryResult], bool]

    def query_finished(self, query: Query, result: QueryResult) -> None:
        if self.in_pair(result):
            self.watch.add_half(result, driver=self.driver)
        elif self.driver:
            self.watch.query_finished(query, result)

    def model_saved(self, version: ModelVersion) -> None:
        if self.driver:
            self.watch.model_saved(version)
