"""`PilotDataInteractor`: push and pull for single queries, as PilotScope documents it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from typing import Any, cast
from weakref import WeakKeyDictionary

from pilotcli.common.errors import UsageError
from pilotcli.common.records import Index, PilotTransData, Query
from pilotcli.config import PilotConfig
from pilotcli.databases.controller import PostgreSQLController as _Controller
from pilotcli.databases.protocols import BaseDBController, Target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.controller import PostgreSQLController, get_db_controller
from pilotcli.steering.hint_plan import quote_name
from pilotcli.steering.methods import JoinOrder, Method, ScanJoinMethodEnum
from pilotcli.steering.naming import name_by_explain
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.steering.subplans import (
    GraphCatalog,
    NamedCards,
    SubPlan,
    analyse,
    observed_cardinalities,
    observed_rows,
)
from pilotcli.workload import leading_keyword


class PilotDataInteractor:
    """Steers single queries (push), and reads plans, times and estimates of them (pull).

        interactor = PilotDataInteractor(config)
        interactor.push_hint({"enable_nestloop": "off"})
        interactor.pull_physical_plan()
        interactor.pull_execution_time()
        data = interactor.execute("SELECT ...")

    Pushes and pulls apply to the next `execute`, which then forgets them by default. The query runs
    if its records or its time are pulled, or nothing at all; otherwise it is only planned.

    - `config`: the database to connect to;
    - `enable_simulate_index`: pushed indexes are what-if indexes;
    - `db_controller`: the controller to use, as an event gets one; without it, one is made from
      `config` and the open database `target`.

    Pushed knobs and indexes are undone when the interactor is closed, or with a given `target` or
    `db_controller`, when that is closed. Raises `SteeringError` for a push of a wrong form or one
    that the server refuses, `CapabilityError` for what this server cannot do, `QueryError`
    (`QueryTimeout`, `QueryCancelled`) for a query that failed, `DatabaseError` for a lost
    connection.
    """

    cards_of: Callable[[NamedCards], dict[str, float]] = attrgetter("cards")
    """Returns the rows of sub-plans, by their keys in the form that the interactor gives out."""

    def __init__(
        self,
        config: PilotConfig,
        enable_simulate_index: bool = False,
        *,
        target: Target | None = None,
        db_controller: BaseDBController | None = None,
    ) -> None:
        self.config = config
        self._owns_controller = db_controller is None
        if db_controller is None:
            db_controller = get_db_controller(config, enable_simulate_index, target=target)
        if not isinstance(db_controller, _Controller):
            raise UsageError(f"an interactor needs a PostgreSQL, not {type(db_controller)}")
        # Its class has every method that a driver may call.
        self.db_controller = cast(PostgreSQLController, db_controller)
        self._simulated = enable_simulate_index
        self._steerers: WeakKeyDictionary[PostgresSession, SessionSteering] = WeakKeyDictionary()
        self._abilities: WeakKeyDictionary[PostgresSession, Abilities] = WeakKeyDictionary()
        self._guard = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._pushes = Pushes()
        self._pulls = Pulls()
        self._records = False
        self._knobs: dict[str, object] = {}
        self._indexes: tuple[tuple[Index, ...], bool] | None = None

    def push_hint(self, key_2_value_for_hint: Mapping[str, object]) -> None:
        """Planner settings for the query: `{"enable_nestloop": "off"}`."""
        self._pushes.add_hints(key_2_value_for_hint)

    def push_knob(self, key_2_value_for_knob: Mapping[str, object]) -> None:
        """Server settings, until the interactor is closed. The server is reloaded or restarted
        before the next query."""
        self._knobs.update(key_2_value_for_knob)

    def push_card(
        self, subquery_2_value: Mapping[str, float], enable_parameterized_subquery: bool = False
    ) -> None:
        """The rows that the planner should assume, by sub-plan query (SQL)."""
        _refuse_parameterized(enable_parameterized_subquery)
        self._pushes.add_cards(subquery_2_value)

    def push_index(self, indexes: Sequence[Index], drop_other: bool = True) -> None:
        """Indexes, from the next query until the interactor is closed. `drop_other` drops the other
        indexes that only serve speed."""
        self._indexes = (tuple(indexes), drop_other)

    def push_pg_hint_comment(self, pg_hint_comment: str) -> None:
        """A comment of pg_hint_plan's hints: `/*+ HashJoin(p u) */`."""
        self._pushes.add_comment(pg_hint_comment)

    def push_scan_method(
        self, methods: ScanJoinMethodEnum | Method | Sequence[Method], *names: str
    ) -> None:
        """Scan methods: `(ScanJoinMethodEnum.SEQ, "p")`, a list of such pairs, or a method and
        names as separate arguments: `ScanJoinMethodEnum.INDEX, "p", "posts_by_owner"`."""
        # One text may have several names; of several texts each is one name.
        text = " ".join(map(quote_name, names) if len(names) > 1 else names)
        self._pushes.add_methods((methods, text) if names else methods)

    def push_join_method(
        self, methods: ScanJoinMethodEnum | Method | Sequence[Method], *names: str
    ) -> None:
        """Join methods, in the forms of `push_scan_method`: `(ScanJoinMethodEnum.HASHJOIN, "p u")`,
        or `ScanJoinMethodEnum.HASHJOIN, "p", "u"`."""
        self.push_scan_method(methods, *names)

    def push_join_order(self, order: JoinOrder | str) -> None:
        """The order of the joins: `["p", "u", "c"]` joins p and u first, then c."""
        self._pushes.add_order(order)

    def pull_record(self) -> None:
        """The query's rows, as a pandas DataFrame."""
        self._records = True

    def pull_physical_plan(self) -> None:
        """The plan of the query, as `EXPLAIN (FORMAT JSON)` gives it."""
        self._pulls = replace(self._pulls, physical_plan=True)

    def pull_execution_time(self) -> None:
        """The query's seconds, measured by the server if it can, otherwise by the client."""
        self._pulls = replace(self._pulls, execution_time=True)

    def pull_estimated_cost(self) -> None:
        """The planner's total cost of the query."""
        self._pulls = replace(self._pulls, estimated_cost=True)

    def pull_subquery_card(self, enable_parameterized_subquery: bool = False) -> None:
        """The planner's rows for every sub-plan query."""
        _refuse_parameterized(enable_parameterized_subquery)
        self._pulls = replace(self._pulls, subquery_cards=True)

    def pull_buffercache(self) -> None:
        """The number of cached blocks of each relation."""
        self._pulls = replace(self._pulls, buffercache=True)

    def execute(self, sql: str, is_reset: bool = True) -> PilotTransData:
        """Apply the pushes, run or plan `sql`, and return what was pulled.

        `is_reset` forgets pushes and pulls afterwards, also if the query fails. For the errors see
        the class.
        """
        return self.execute_batch([sql], is_reset)[0]

    def execute_batch(self, sqls: Sequence[str], is_reset: bool = True) -> list[PilotTransData]:
        """Run all `sqls` one after the other, with the same pushes and pulls."""
        try:
            self._push_for_all()
            return [self._run(sql) for sql in sqls]
        finally:
            if is_reset:
                self.reset()

    def execute_parallel(
        self, sqls: Sequence[str], parallel_num: int = 10, is_reset: bool = True
    ) -> list[PilotTransData]:
        """Run `sqls` over `parallel_num` connections at once; returns results in their order.

        Raises the first error when all have ended, and `UsageError` with what-if indexes, which
        belong to one connection.
        """
        if self._simulated:
            raise UsageError("what-if indexes belong to one connection: use execute_batch")
        try:
            self._push_for_all()
            if not sqls:
                return []
            with ThreadPoolExecutor(max_workers=max(1, min(len(sqls), parallel_num))) as pool:
                return list(pool.map(self._run, sqls))
        finally:
            if is_reset:
                self.reset()

    def reset(self) -> None:
        """Forget pushes and pulls, and give the connection back its first state."""
        self._forget()
        self.db_controller.reset()
        with self._guard:
            self._steerers.clear()

    def close(self) -> None:
        """Undo pushed knobs and indexes, and close the connections; a given controller stays open.
        A later call opens new connections."""
        if self._owns_controller:
            self.db_controller.close()

    def __enter__(self) -> PilotDataInteractor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def catalog(self) -> GraphCatalog:
        """The facts about the database's relations that the analysis of queries needs."""
        session = self.db_controller.session()
        return self._abilities_of(session).catalog

    def subplans(self, sql: str) -> NamedCards:
        """Returns the sub-plans of `sql`, which is planned and not run.

        Raises `CapabilityError` for a query that cannot be analysed or that the server refuses, and
        `QueryError` if the server refuses a sub-plan's query.
        """
        session = self.db_controller.session()
        abilities = self._abilities_of(session)
        if abilities.planner is not None:
            abilities.schema_has_changed()
            return abilities.namer.read(sql)
        return name_by_explain(session, analyse(abilities.namer.query_in(sql), abilities.catalog))

    def observed_rows(self, sql: str, plan: Mapping[str, Any]) -> dict[SubPlan, float]:
        """Returns the true rows of the sub-plans of `sql` that an executed plan shows: a dict with
        the key `Plan`, with actual rows, as it is collected.

        Raises `CapabilityError` for another form, and for a query that cannot be analysed.
        """
        if "Relations" in plan:
            return observed_rows(plan)
        abilities = self._abilities_of(self.db_controller.session())
        graph = analyse(abilities.namer.query_in(sql), abilities.catalog)
        found = observed_cardinalities(plan, graph)
        return {SubPlan("", names): rows for names, rows in found.items()}

    def _abilities_of(self, session: PostgresSession) -> Abilities:
        with self._guard:
            abilities = self._abilities.get(session)
            if abilities is None:
                abilities = self._abilities[session] = Abilities(session, self.config)
        return abilities

    def _push_for_all(self) -> None:
        """Apply the knobs and indexes, before the first query."""
        knobs, self._knobs = self._knobs, {}
        if knobs:
            self.db_controller.set_knobs(knobs)
        pushed, self._indexes = self._indexes, None
        if pushed is not None:
            indexes, drop_other = pushed
            if drop_other:
                self.db_controller.drop_all_indexes()
            for index in indexes:
                self.db_controller.create_index(index)

    def _run(self, sql: str) -> PilotTransData:
        query = Query(seq=1, label="query", sql=sql, command=leading_keyword(sql))
        execute = self._records or self._pulls.execution_time or not self._pulls
        steerer = self._steerer()  # before what-if indexes may open a transaction
        with self.db_controller.simulating():
            steered = steerer.run(query, self._pushes, execute=execute)
        if steered.error is not None:
            raise steered.error
        return self._data(sql, steered)

    def _steerer(self) -> SessionSteering:
        session = self.db_controller.session()
        abilities = self._abilities_of(session)
        with self._guard:
            steerer = self._steerers.get(session)
            if steerer is None or steerer.pulls != self._pulls:
                steerer = SessionSteering(
                    session,
                    abilities,
                    self._pulls,
                    skip_missing=False,
                    buffercache=self.db_controller.get_buffercache,
                    cards_of=self.cards_of,
                )
                self._steerers[session] = steerer
        return steerer

    def _data(self, sql: str, steered: Steered) -> PilotTransData:
        pulls = self._pulls
        data = PilotTransData(sql=sql, report=steered.report, notes=tuple(steered.notes))
        if self._records:
            import pandas

            rows = steered.rows
            data.records = pandas.DataFrame.from_records(rows.rows, columns=rows.columns)
        if pulls.execution_time:
            measured = steered.execution_s
            data.execution_time = steered.elapsed_s if measured is None else measured
            data.planning_time = steered.planning_s
        if pulls.physical_plan:
            data.physical_plan = steered.plan
        if pulls.estimated_cost:
            data.estimated_cost = steered.estimated_cost
        data.subquery_2_card = steered.cards
        data.left_out = tuple(steered.left_out)
        data.buffercache = steered.buffercache
        return data


def _refuse_parameterized(enabled: bool) -> None:
    if enabled:
        raise UsageError(
            "enable_parameterized_subquery=True: sub-plan queries have no parameters here",
            hint="Leave it out: the rows of lookups follow from the rows that you push for joins.",
        )
