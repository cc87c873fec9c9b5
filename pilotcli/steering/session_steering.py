"""Steers the queries of one session: sends them with what is pushed, and reads what is pulled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    QueryError,
    QueryTimeout,
    SteeringError,
)
from pilotcli.common.records import Query, SteeringReport
from pilotcli.common.redaction import redacted
from pilotcli.common.sql_commands import command_of, leading_keyword
from pilotcli.databases.session.libpq import whole_messages
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.auto_explain import read_auto_explain, settings_for
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.message import Message
from pilotcli.steering.message_writer import MessageWriter
from pilotcli.steering.naming import name_by_explain
from pilotcli.steering.outcomes import hint_outcomes, row_outcomes
from pilotcli.steering.planned_query import is_planned
from pilotcli.steering.planner import REPORT_SETTING, Report, parse_report
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.sending import send
from pilotcli.steering.sql import Settings, own_statements, set_all, show_settings
from pilotcli.steering.subplans import NamedCards, NotAnalysable

PASSED_OVER = (
    "a message of the workload that looks like a report about a plan, and is none, was passed over"
)
RESET = (
    "the workload has reset the session's settings, those of pilot too: no actual rows, times of "
    "the server and sub-plan cardinalities of the planner module for this query"
)
_SAVEPOINT = "pilot_reports"
_LONG = 1_000_000


class SessionSteering:
    """Sends the queries of one session with what is pushed, and reads what is pulled.

    - `abilities`: what the session can do;
    - `pulls`: what is pulled for each query;
    - `skip_missing`: note a push that the server cannot do, instead of an error for the query;
    - `buffercache`: returns the cached blocks of each relation;
    - `cards_of`: returns the rows of sub-plans, by their keys in the form that is given out.

    Used by one thread.
    """

    def __init__(
        self,
        session: PostgresSession,
        abilities: Abilities,
        pulls: Pulls,
        *,
        skip_missing: bool,
        buffercache: Callable[[], dict[str, int]] = dict,
        cards_of: Callable[[NamedCards], dict[str, float]] = attrgetter("cards"),
    ) -> None:
        self.session = session
        self.abilities = abilities
        self.pulls = pulls
        self._writer = MessageWriter(abilities, skip_missing=skip_missing)
        self._buffercache = buffercache
        self._cards_of = cards_of
        session.listen()
        abilities.settle(again=True)  # the session may have been reset
        self._settings = self._report_settings()
        self._reports = bool(self._settings)
        if self._reports:
            session.execute(set_all(self._settings, ""))

    def run(
        self, query: Query, pushes: Pushes | None, *, execute: bool = True, pull: bool = True
    ) -> Steered:
        """Send `query` with `pushes`, and return its result with what was pulled.

        Without `execute` the query is planned and not run; without `pull` no further questions are
        sent to the server. Never raises for the query: its error is in the result, a
        `SteeringError` or `CapabilityError` if the query was not sent.
        """
        steered = Steered()
        if not execute:
            planned = self._planned(query)
            if planned is None:
                what = query.command or "this"
                steered.notes = (
                    f"not run: there is no plan of a statement like {what}, or of several in one "
                    "(pull_record() runs it)",
                )
                return steered
            query = planned
        message = Message(query.sql)
        if pushes and not self.session.transaction_failed:  # otherwise the query fails, too
            began = time.perf_counter()
            try:
                message = self._writer.write(query, pushes)
            except (SteeringError, CapabilityError) as exc:
                steered.error = exc
                return steered
            finally:
                steered.steering_s = time.perf_counter() - began
        self.abilities.settle()
        self._send(query, message, steered, execute)
        if command_of(query.command).changes_settings or query.command == "LOAD":
            self.abilities.forget_hints(query.sql)
        if command_of(query.command).changes_settings:  # a search_path, by which names are found
            self.abilities.forget_schema()
            self._writer.forget()
            if query.command in ("RESET", "DISCARD"):
                self._set_again()
                self.abilities.settle(again=True)
        if isinstance(steered.error, SteeringError) or self.session.closed:
            return steered
        if message.steers or message.ignored or self._reports:
            began = time.perf_counter()
            self._read_notices(query, message, steered)
            spent = time.perf_counter() - began
            if self._reports:
                steered.collection_s += spent
            else:
                steered.steering_s += spent
        if pull and self.pulls:
            began = time.perf_counter()
            self._pull(query, message, steered)
            steered.collection_s += time.perf_counter() - began
        return steered

    def _planned(self, query: Query) -> Query | None:
        """Returns the query that `query` plans and EXPLAIN takes; None if there is none."""
        if is_planned(query):
            return query
        try:
            sql = self.abilities.namer.query_in(query.sql)
        except (QueryError, CapabilityError):
            return None
        planned = query._replace(sql=sql, command=leading_keyword(sql))
        return planned if is_planned(planned) else None

    def _report_settings(self) -> Settings:
        """Returns the settings with which the session reports about every query."""
        pulls = self.pulls
        wanted = {
            "plan": pulls.plan,
            "actual": pulls.actual_rows,
            "timing": pulls.actual_rows and pulls.node_times,
            "time": pulls.execution_time,
            "blocks": pulls.subquery_cards,
        }
        reported = [word for word, pulled in wanted.items() if pulled]
        if reported and self.abilities.planner is not None:
            return ((REPORT_SETTING, ",".join(reported)),)
        if (pulls.plan or pulls.execution_time) and self.abilities.auto_explain:
            return settings_for(actual_rows=pulls.actual_rows, node_times=pulls.node_times)
        return ()

    def _set_again(self) -> None:
        """Set what the session reports, which the workload may have reset. Takes no snapshot: SET
        TRANSACTION may follow."""
        session = self.session
        if not self._settings or session.closed or session.transaction_failed:
            return
        settings = set_all(self._settings, "")
        with own_statements(session):
            try:
                if session.in_transaction:
                    settings = f"SAVEPOINT {_SAVEPOINT}; {settings}RELEASE SAVEPOINT {_SAVEPOINT}"
                session.execute(settings)
                self._reports = True
            except QueryError:  # the role has no right to it any more: EXPLAIN says what it can
                self._reports = False
                if session.transaction_failed:
                    session.execute(
                        f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
                    )

    def _were_reset(self) -> bool:
        """Whether the session does not report any more, which it does again from here on."""
        names = [name for name, _ in self._settings]
        with own_statements(self.session):
            shown = self.session.execute(show_settings(names)).rows[0]
        if list(shown) == [value for _, value in self._settings]:
            return False
        self._set_again()
        return True

    def _send(self, query: Query, message: Message, steered: Steered, execute: bool) -> None:
        wants_plan = self.pulls.plan
        explain = "" if execute else "EXPLAIN (FORMAT JSON) " if wants_plan else "EXPLAIN "
        told = bool(message.hints or message.advice)
        if self._reports or told:
            self.session.take_notices()  # those about pilot's own questions
        is_whole = told and len(message.sql) < _LONG
        messages = whole_messages(self.session.connection) if is_whole else nullcontext()
        began = time.perf_counter()
        try:
            with messages:
                rows = send(self.session, query, message, explain, steered)
        except SteeringError as exc:
            steered.error = exc
            return
        except (QueryError, DatabaseError) as exc:
            steered.elapsed_s += time.perf_counter() - began
            steered.error = exc
            return
        steered.elapsed_s += time.perf_counter() - began
        if execute:
            steered.rows = rows
        elif wants_plan:
            steered.plan_text = json.dumps(plan_of(rows))

    def _read_notices(self, query: Query, message: Message, steered: Steered) -> None:
        """Read the reports that the server sent beside the rows."""
        notices = self.session.take_notices()
        applied = [redacted(what) for what in message.applied]
        ignored = [(redacted(what), redacted(why)) for what, why in message.ignored]
        # Only a module that is in use: looking for it now might disturb a transaction.
        if message.rows or (self._reports and self.abilities.planner is not None):
            report = parse_report(notices)
            if report.passed_over:
                steered.notes = (*steered.notes, PASSED_OVER)
            steered.planning_s = _seconds(report.planning_ms)
            steered.execution_s = _seconds(report.execution_ms)
            if report.plan_text is not None and is_planned(query):
                steered.plan_text = report.plan_text
            if self.pulls.subquery_cards and report.blocks_text is not None:
                self._name_cards(message.sql, report, steered)
            outcome = row_outcomes(message, report, steered.error)
            applied.extend(key for key, reason in outcome.items() if reason is None)
            ignored.extend((key, reason) for key, reason in outcome.items() if reason is not None)
        elif self._reports:
            found, passed_over = read_auto_explain(notices, message.sql)
            if passed_over:
                steered.notes = (*steered.notes, PASSED_OVER)
            if found is not None and is_planned(query):
                steered.execution_s, steered.plan_text = found
        plan = partial(self._plan_of, message, steered)
        catalog = self.abilities.catalog
        for what, why in hint_outcomes(message, notices, steered.error, plan, catalog):
            if why is None:
                applied.append(redacted(what))
            else:
                ignored.append((redacted(what), redacted(why)))
        if message.steers or ignored:
            numbers = message.numbers
            cards = tuple([(key, numbers[key]) for key in applied if key in numbers])
            steered.report = SteeringReport(tuple(applied), tuple(ignored), cards=cards)

    def _plan_of(self, message: Message, steered: Steered) -> dict[str, Any] | None:
        """Returns the plan of a message, to see which relations it has; None if the server does
        not give it now."""
        if steered.plan is not None or self.session.closed or self.session.transaction_failed:
            return steered.plan
        again = Steered()
        with own_statements(self.session):
            try:
                query = self.abilities.namer.query_in(message.sql)
                rows = send(
                    self.session,
                    Query(0, "", query, command=leading_keyword(query)),
                    replace(message, sql=query),
                    "EXPLAIN (FORMAT JSON) ",
                    again,
                )
                return plan_of(rows)
            except (QueryError, DatabaseError, SteeringError, CapabilityError):
                return None

    def _name_cards(self, sql: str, report: Report, steered: Steered) -> None:
        try:
            named = self.abilities.namer.name(sql, report)
        except NotAnalysable as exc:
            steered.notes = (*steered.notes, f"no sub-plan cardinalities: {exc.message}")
            return
        self._take_cards(named, steered)
        # The server described the query while it was planned.
        on_server = (report.naming_ms or 0.0) / 1000
        steered.elapsed_s -= on_server
        steered.collection_s += on_server

    def _take_cards(self, named: NamedCards, steered: Steered) -> None:
        steered.cards = self._cards_of(named)
        steered.left_out = [(subplan.names, reason) for subplan, reason in named.left_out]
        if named.left_out and not named.cards:
            note = f"no sub-plan cardinalities: {named.left_out[0][1]}"
            steered.notes = (*steered.notes, note)

    def _pull(self, query: Query, message: Message, steered: Steered) -> None:
        """Ask the server for what the execution did not report, one question each."""
        session, pulls = self.session, self.pulls
        if session.closed or session.transaction_failed:
            return
        if not is_planned(query):
            self._explain_cards(query, steered)
            return
        told = (steered.plan_text, steered.execution_s, steered.cards, *steered.notes)
        is_silent = self._reports and steered.error is None and all(part is None for part in told)
        lost = False
        try:
            # A function, or a statement among several, may have reset them.
            lost = is_silent and self._were_reset()
            # The plan explains why a query timed out; it does not explain other errors.
            failed = steered.error is not None and not isinstance(steered.error, QueryTimeout)
            if pulls.plan and steered.plan_text is None and not failed:
                again = Steered()
                self._send(query, message, again, execute=False)
                if again.error is not None:
                    raise again.error
                steered.plan_text = again.plan_text
                session.take_notices()
        except (QueryError, DatabaseError, CapabilityError, SteeringError) as exc:
            steered.notes = (*steered.notes, exc.message)
        self._explain_cards(query, steered)
        if pulls.buffercache:
            try:
                steered.buffercache = self._buffercache()
            except (CapabilityError, QueryError, DatabaseError) as exc:
                steered.notes = (*steered.notes, f"no buffer cache: {exc.message}")
        if lost:
            steered.notes = (*steered.notes, RESET)

    def _explain_cards(self, query: Query, steered: Steered) -> None:
        """Pull the sub-plan cardinalities without the planner module."""
        wanted = self.pulls.subquery_cards and self.abilities.planner is None
        if not wanted or steered.notes:
            return
        planned = self._planned(query)
        if planned is None:
            return
        try:
            graph = self._writer.graph(planned.sql)
            self._take_cards(name_by_explain(self.session, graph), steered)
        except (QueryError, DatabaseError, CapabilityError) as exc:
            steered.notes = (*steered.notes, exc.message)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
