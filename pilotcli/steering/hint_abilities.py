"""Finds out whether a session takes hints and advice, and loads the extensions for them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from functools import cached_property

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.hint_plan import ENABLE_SETTING
from pilotcli.steering.plan_advice import ADVICE_SETTING
from pilotcli.steering.sql import own_statements, set_all
from pilotcli.workload import leading_keyword

_PROBED_ROWS = 4242
_PROBED_SCAN = "EXPLAIN (FORMAT JSON) SELECT 1 FROM pg_catalog.pg_class AS c"
_SAVEPOINT = "pilot_probe"


class HintAbilities:
    """Whether a session has pg_hint_plan and pg_plan_advice; probed when it is first read."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session
        self._quiet_hints = self._settles_later = False

    @cached_property
    def native_hints(self) -> bool:
        """Whether the session obeys hints in a query's text without any help of pilot."""
        return self._obeys_hints("")

    @cached_property
    def hint_plan(self) -> bool:
        """Whether pg_hint_plan obeys a hint in front of a message as pilot sends it.

        Where the server has not loaded it, pilot loads it and switches it off: so hints in a
        workload's own text mean the same as in a session that is not steered.
        """
        if self.native_hints:
            return True
        self._load("pg_hint_plan")
        if not self._obeys_hints(f"SET LOCAL {ENABLE_SETTING} = on; "):
            return False
        self._quiet_hints = True
        self.settle(again=True)
        return True

    def _obeys_hints(self, prefix: str) -> bool:
        text = (
            "SET LOCAL max_parallel_workers_per_gather = 0; EXPLAIN (FORMAT JSON) SELECT 1"
            " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid"
        )
        try:
            with self._undone():
                rows = self.session.execute(f"/*+ Rows(c a #{_PROBED_ROWS}) */ {prefix}{text}")
        except QueryError:
            return False
        return f'"Plan Rows": {_PROBED_ROWS},' in json.dumps(plan_of(rows))

    @cached_property
    def plan_advice(self) -> bool:
        """Whether pg_plan_advice, of PostgreSQL 19 and later, takes advice in this session."""
        session = self.session
        if session.connection.server_version < 190000:
            return False
        shown = "pg_plan_advice.always_explain_supplied_advice"
        probe = set_all(((ADVICE_SETTING, "SEQ_SCAN(c)"), (shown, "on"))) + _PROBED_SCAN
        self._load("pg_plan_advice")
        try:
            with self._undone():
                plan = plan_of(session.execute(probe))
        except QueryError:
            return False
        return "SEQ_SCAN(c) /* matched */" in str(plan.get("Supplied Plan Advice", ""))

    def forget_hints(self, sql: str) -> None:
        """Find out again whether the session obeys hints: the workload has changed a setting, or
        has loaded pg_hint_plan itself by the statement `sql`."""
        if self._quiet_hints and "pg_hint_plan" in sql and leading_keyword(sql) == "LOAD":
            self._quiet_hints = False
            with own_statements(self.session):
                self.session.execute(f"RESET {ENABLE_SETTING}")
        if not self._quiet_hints:
            self.__dict__.pop("native_hints", None)

    def settle(self, *, again: bool = False) -> None:
        """Keep a pg_hint_plan that pilot has loaded switched off outside of steered messages.

        `again`: the setting may be lost, for example by a RESET of the workload.
        """
        session = self.session
        if not self._quiet_hints or not (again or self._settles_later):
            return
        if session.closed or session.transaction_failed:
            self._settles_later = True
            return
        with own_statements(session):
            session.execute(f"SET {ENABLE_SETTING} = off")
        self._settles_later = session.in_transaction  # a rollback takes it back

    def _load(self, library: str) -> None:
        """Load an extension's library, if the role may and it is not loaded already."""
        for name in (library, f"$libdir/plugins/{library}"):
            with contextlib.suppress(QueryError):
                with self._undone():
                    self.session.execute(f"LOAD '{name}'")
                return

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """Undo what a probe sets, and its failure, inside a transaction of the workload."""
        session = self.session
        with own_statements(session):
            if not session.in_transaction:
                yield
                return
            session.execute(f"SAVEPOINT {_SAVEPOINT}")
            try:
                yield
            finally:
                session.execute(
                    f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
                )
