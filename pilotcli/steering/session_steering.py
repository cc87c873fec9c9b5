"""One session, steered: a query's pushes become one message to the server, its pulls come back.

Three ways to send a query (`_sent`), by what the server allows:

- A plain query goes with its settings in one message, `SET LOCAL ...; /* hints */ SELECT ...`. The
  server runs such a message in a transaction of its own (PostgreSQL manual 55.2.2.1), so that
  nothing is left afterwards.
- Inside the workload's own transaction the settings are made at a savepoint, so that one that the
  server refuses does not break the block, and are brought back after the query, but for those that
  the query itself has set (`set_config`).
- Commands that must not run in a transaction (`VACUUM`) get settings of the session, brought back
  after the query.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    PilotError,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    SteeringError,
)
from pilotcli.common.records import Query, SteeringReport
from pilotcli.common.redaction import redacted
from pilotcli.databases.protocols import Rows
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.methods import Method, ScanJoinMethodEnum, coarse_settings, hint_text
from pilotcli.steering.planner import Estimate, parse_report, rows_setting
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.sql import literal, restored, set_all, shown
from pilotcli.steering.subplans import (
    QueryGraph,
    analyse,
    estimates_by_explain,
    relation_names,
    rewrite_join_order,
)
from pilotcli.workload import is_one_statement

__all__ = ["PLANNED", "Steerer"]

PLANNED = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"})
"""Commands that the planner plans: EXPLAIN takes them, and they may run in a transaction."""

ROWS_SETTING = "pilot_planner.rows"
_MESSAGES_KEPT = 1024
_WITH_NUMBERS = frozenset({ScanJoinMethodEnum.PARALLEL, ScanJoinMethodEnum.ROW})
"""Methods that name more than relations."""
_SAVEPOINT = "pilot_steering"
_AUTO_EXPLAIN = re.compile(r"([0-9.]+) ms .*?\n(\{.*\})\s*\Z", re.DOTALL)


@dataclass(slots=True)
class _Message:
    """A query as it is sent, and what was made of its pushes.

    `rows` is the planner module's setting, `cards` the keys behind its entries.
    """

    sql: str
    settings: dict[str, str] = field(default_factory=dict)
    comment: str = ""
    rows: str = ""
    cards: tuple[str, ...] = ()
    applied: list[str] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)

    @property
    def steers(self) -> bool:
        """Whether anything is put into the database."""
        return bool(self.settings or self.comment or self.rows)

    def prefix(self, scope: str = "LOCAL ") -> str:
        """The settings as statements."""
        settings = set_all(tuple(self.settings.items()), scope)
        if not self.rows:
            return settings
        return f"{settings}SET {scope}{ROWS_SETTING} = {literal(self.rows)}; "

    def override(self, settings: Mapping[str, str], by: str) -> None:
        """Make settings that go before hints; a hint that says otherwise is not applied."""
        for name, hint in list(self.settings.items()):
            value = settings.get(name.lower(), hint)
            if hint != value:
                del self.settings[name]
                self.applied.remove(f"{name} = {hint}")
                self.ignored.append((f"{name} = {hint}", f"{by} sets it to {value}"))
        self.settings.update(settings)

    def names(self) -> list[str]:
        """The settings' names."""
        return [*self.settings, ROWS_SETTING] if self.rows else list(self.settings)


class Steerer:
    """Sends the queries of one session with what is pushed, and takes out what is pulled.

    `pulls` is what is wanted of each query; the session is told once. `buffercache` tells the
    cached blocks of each relation. Used by one thread.
    """

    def __init__(
        self,
        session: PostgresSession,
        abilities: Abilities,
        pulls: Pulls,
        *,
        skip_missing: bool,
        buffercache: Callable[[], dict[str, int]] = dict,
    ) -> None:
        self.session = session
        self.abilities = abilities
        self.pulls = pulls
        self._skip_missing = skip_missing
        self._buffercache = buffercache
        self._messages: dict[tuple[object, ...], _Message] = {}
        session.listen()
        self._prepare()

    def run(
        self, query: Query, pushes: Pushes | None, *, execute: bool = True, pull: bool = True
    ) -> Steered:
        """Send `query` with `pushes`, and pull what is wanted. Never raises for the query: its
        error is in what comes back, a `SteeringError` or `CapabilityError` where it did not run.

        Without `execute` the query is planned and not run; without `pull` nothing is asked about
        it besides.
        """
        steered = Steered()
        if not execute and not _is_planned(query):
            what = query.command or "this"
            steered.notes = (
                f"not run: the planner makes no plan of a statement like {what}, or of several "
                "in one (pull_record() runs it)",
            )
            return steered
        message = _Message(query.sql)
        if pushes:
            began = time.perf_counter()
            try:
                message = self._composed(query, pushes)
            except (SteeringError, CapabilityError) as exc:
                steered.error = exc
                return steered
            finally:
                steered.steering_s = time.perf_counter() - began
        self._send(query, message, steered, execute)
        if query.command in _NAMES_MEAN_OTHERS:
            self.abilities.forget_schema()
            self._messages.clear()
        if isinstance(steered.error, SteeringError) or self.session.closed:
            return steered
        if message.steers or message.ignored or self._reports:
            self._take_in(query, message, steered)
        if pull and self.pulls and _is_planned(query):
            began = time.perf_counter()
            self._pull(query, message, steered)
            steered.collection_s = time.perf_counter() - began
        return steered

    def _prepare(self) -> None:
        """Tell the session what to report about every query from here on."""
        pulls = self.pulls
        self._reports = False
        wanted = [
            word
            for word, asked in (
                ("plan", pulls.plan),
                ("actual", pulls.actual_rows),
                ("time", pulls.execution_time),
                ("rows", pulls.subquery_cards),
            )
            if asked
        ]
        if not wanted:
            return
        if self.abilities.planner is not None:
            self._set({"pilot_planner.report": ",".join(wanted)})
            self._reports = True
        elif (pulls.plan or pulls.execution_time) and self.abilities.auto_explain:
            self._set(
                {
                    "auto_explain.log_min_duration": "0",
                    "auto_explain.log_level": "info",
                    "auto_explain.log_format": "json",
                    "auto_explain.log_analyze": "on" if pulls.actual_rows else "off",
                    "auto_explain.log_timing": "off",
                }
            )
            self._reports = True

    def _set(self, settings: Mapping[str, str]) -> None:
        self.session.execute(restored(list(settings), list(settings.values()), ""))

    def _composed(self, query: Query, pushes: Pushes) -> _Message:
        """As `_message`; one that was composed lately is used again."""
        if self.abilities.schema_has_changed():
            self._messages.clear()
        key = (query.sql, pushes.comment, *pushes.hints.items(), *pushes.cards.items())
        if pushes.methods or pushes.order:
            return self._message(query, pushes)
        message = self._messages.get(key)
        if message is None:
            message = self._message(query, pushes)
            if len(self._messages) >= _MESSAGES_KEPT:
                del self._messages[next(iter(self._messages))]
            self._messages[key] = message
        return message

    def _message(self, query: Query, pushes: Pushes) -> _Message:
        """What to send for `query`. Raises `SteeringError`, and `CapabilityError` for what this
        server cannot do."""
        message = _Message(query.sql, settings=dict(pushes.hints), comment=pushes.comment)
        message.applied.extend(f"{name} = {value}" for name, value in pushes.hints.items())
        hints = ""
        if pushes.comment.startswith("/*+"):
            if self.abilities.hint_plan:
                message.applied.append(pushes.comment)
            else:
                self._miss(message, "hint comments", pushes.comment)
                message.comment = ""
        if pushes.methods or pushes.order:
            hints = self._add_methods(query, pushes, message)
        if pushes.cards:
            hints += self._add_cards(query, pushes.cards, message)
        if hints:
            if "*/" in hints or "/*" in hints:  # in a relation's name, of a handler or the query
                raise SteeringError(f"the hints end before their end: {hints!r}")
            # pg_hint_plan reads the first comment of hints only.
            given = message.comment[3:-2] if message.comment else ""
            message.comment = f"/*+{given} {hints}*/"
        return message

    def _add_methods(self, query: Query, pushes: Pushes, message: _Message) -> str:
        text = hint_text(pushes.methods, pushes.order)
        if self.abilities.hint_plan:
            message.applied.append(text)
            return text
        methods = self._of_the_query(query, pushes.methods, message)
        settings, unmet = coarse_settings(methods)
        message.override(settings, "a pushed method")
        message.applied.extend(
            f"{name} = {value} (for the whole query)" for name, value in settings.items()
        )
        for hint in unmet:
            self._miss(message, "scan and join methods", hint)
        if pushes.order:
            message.sql = rewrite_join_order(message.sql, pushes.order, self.abilities.catalog)
            one_by_one = {"join_collapse_limit": "1", "from_collapse_limit": "1"}
            message.override(one_by_one, "the pushed join order")
            message.applied.append(hint_text((), pushes.order))
        return ""

    def _of_the_query(
        self, query: Query, methods: Sequence[Method], message: _Message
    ) -> list[Method]:
        """The methods that are for relations of the query; the others are noted."""
        known = relation_names(query.sql) if methods else None
        if known is None:
            return list(methods)
        kept = []
        for method, names in methods:
            strange = [one for one in names.split() if one.strip('"') not in known]
            if strange and method not in _WITH_NUMBERS:
                why = f"the query has no relation {', '.join(strange)}"
                message.ignored.append((f"{method.value}({names})", why))
            else:
                kept.append((method, names))
        return kept

    def _add_cards(self, query: Query, cards: Mapping[str, float], message: _Message) -> str:
        graph = self._graph(query.sql)
        entries = [(_names_of(graph, key), rows) for key, rows in cards.items()]
        planner = self.abilities.planner
        if planner is not None:
            message.rows = rows_setting(entries)
            message.cards = tuple(cards)
            return ""
        if not self.abilities.hint_plan:
            for key in cards:
                self._miss(message, "pushed cardinalities", key)
            return ""
        hints = []
        for (names, rows), key in zip(entries, cards, strict=True):
            if len(names) > 1:
                hints.append(f"Rows({' '.join(sorted(names))} #{max(1, round(rows))})")
                message.applied.append(key)
            else:
                message.ignored.append((key, "pg_hint_plan sets the rows of joins only"))
        return " ".join(hints)

    def _graph(self, sql: str) -> QueryGraph:
        return analyse(sql, self.abilities.catalog)

    def _miss(self, message: _Message, ability: str, what: str) -> None:
        error = self.abilities.missing(ability)
        if not self._skip_missing:
            raise error
        message.ignored.append((what, error.message))

    def _send(self, query: Query, message: _Message, steered: Steered, execute: bool) -> None:
        explain = "" if execute else "EXPLAIN (FORMAT JSON) "
        if self._reports:
            self.session.take_notices()  # what was told about pilot's own questions since
        began = time.perf_counter()
        try:
            rows = self._sent(query, message, explain)
        except SteeringError as exc:
            steered.error = exc
            return
        except (QueryError, DatabaseError) as exc:
            steered.elapsed_s = time.perf_counter() - began
            steered.error = exc
            return
        steered.elapsed_s = time.perf_counter() - began
        if execute:
            steered.rows = rows
        else:
            steered.plan_text = json.dumps(plan_of(rows))

    def _sent(self, query: Query, message: _Message, explain: str) -> Rows:
        """The rows of the query; a `SteeringError` when the server refuses a setting."""
        session = self.session
        if not message.steers:
            return session.execute(explain + message.sql, query.copy)
        in_transaction = session.in_transaction
        if in_transaction or not _is_planned(query):
            return self._bracketed(query, message, explain, in_transaction)
        prefix = message.prefix()
        try:
            return session.execute(f"{message.comment}{prefix}{explain}{message.sql}")
        except (QueryTimeout, QueryCancelled):
            raise
        except QueryError:
            self._check(message)
            raise

    def _check(self, message: _Message) -> None:
        """Raise `SteeringError` if it is a setting that the server refuses."""
        try:
            self.session.execute(f"BEGIN; {message.prefix()}ROLLBACK")
        except QueryError as refused:
            self.session.rollback()
            raise _refused(refused) from None

    def _bracketed(
        self, query: Query, message: _Message, explain: str, in_transaction: bool
    ) -> Rows:
        session = self.session
        names = message.names()
        scope = "LOCAL " if in_transaction else ""
        if session.transaction_failed:
            return session.execute(message.sql)
        before: Sequence[str | None] = session.execute(shown(names)).rows[0] if names else ()
        pushed: Sequence[str | None] = ()
        if names:
            prefix = message.prefix(scope)
            begin, end = (
                (f"SAVEPOINT {_SAVEPOINT}; ", f"RELEASE SAVEPOINT {_SAVEPOINT}")
                if in_transaction
                else ("BEGIN; ", "COMMIT")
            )
            try:
                pushed = session.execute(f"{begin}{prefix}{end}; {shown(names)}").rows[0]
            except QueryError as refused:
                if in_transaction:
                    session.execute(
                        f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
                    )
                else:
                    session.rollback()
                raise _refused(refused) from None
        try:
            return session.execute(f"{message.comment}{explain}{message.sql}", query.copy)
        finally:
            # A transaction that failed or ended has taken its settings with it.
            lives = not session.closed and not session.transaction_failed
            if names and lives and session.in_transaction == in_transaction:
                session.execute(restored(names, before, scope, pushed))

    def _take_in(self, query: Query, message: _Message, steered: Steered) -> None:
        """Read what the server said besides the rows."""
        notices = self.session.take_notices()
        applied = [redacted(what) for what in message.applied]
        ignored = [(redacted(what), redacted(why)) for what, why in message.ignored]
        # The module is asked for only where it is at work: to look for it now might break into a
        # transaction of the workload.
        if message.rows or (self._reports and self.abilities.planner is not None):
            report = parse_report(notices)
            steered.planning_s = _seconds(report.planning_ms)
            steered.execution_s = _seconds(report.execution_ms)
            if report.plan_text is not None and _is_planned(query):
                steered.plan_text = report.plan_text
            if self.pulls.subquery_cards and report.estimates:
                self._name_cards(query, report.estimates, steered)
            pushed = range(len(message.cards))
            applied.extend(message.cards[at] for at in report.applied if at in pushed)
            ignored.extend(
                (message.cards[at], reason) for at, reason in report.ignored if at in pushed
            )
            told = {*report.applied, *(at for at, _ in report.ignored)}
            if steered.error is None:
                ignored.extend(
                    (key, "the planner did not come to it")
                    for at, key in enumerate(message.cards)
                    if at not in told
                )
        elif self._reports:
            found = auto_explained(notices)
            if found is not None and _is_planned(query):
                steered.execution_s, steered.plan_text = found
        if message.steers or ignored:
            steered.report = SteeringReport(tuple(applied), tuple(ignored))

    def _name_cards(self, query: Query, estimates: Sequence[Estimate], steered: Steered) -> None:
        try:
            graph = self._graph(query.sql)
        except PilotError as exc:
            steered.notes = (*steered.notes, f"no sub-plan cardinalities: {exc.message}")
            return
        cards: dict[str, float] = {}
        # Where blocks have relations of the same names, a key is that of the outermost.
        for one in sorted(estimates, key=lambda estimate: estimate.block):
            key = graph.key(one.names)
            if key is not None:
                cards.setdefault(key, one.rows)
        steered.cards = cards

    def _pull(self, query: Query, message: _Message, steered: Steered) -> None:
        """What the execution did not bring by itself, one question to the server each."""
        session, pulls = self.session, self.pulls
        if session.closed or session.transaction_failed:
            return
        if self._reports and steered.error is None and steered.plan_text is None and pulls.plan:
            self._prepare()  # the workload has reset the session's settings
        try:
            # Of a query that ran into its time-out the plan is worth a question; one that failed by
            # itself has none that explains it.
            failed = steered.error is not None and not isinstance(steered.error, QueryTimeout)
            if pulls.plan and steered.plan_text is None and not failed:
                again = Steered()
                self._send(query, message, again, execute=False)
                if again.error is not None:
                    raise again.error
                steered.plan_text = again.plan_text
                session.take_notices()
            if pulls.subquery_cards and steered.cards is None and not steered.notes:
                graph = self._graph(query.sql)
                found = estimates_by_explain(session, graph)
                steered.cards = {str(graph.key(names)): rows for names, rows in found.items()}
        except (QueryError, DatabaseError, CapabilityError, SteeringError) as exc:
            steered.notes = (*steered.notes, exc.message)
        if pulls.buffercache:
            self._pull_buffercache(steered)

    def _pull_buffercache(self, steered: Steered) -> None:
        try:
            steered.buffercache = self._buffercache()
        except (CapabilityError, QueryError, DatabaseError) as exc:
            steered.notes = (*steered.notes, f"no buffer cache: {exc.message}")


_NAMES_MEAN_OTHERS = frozenset({"SET", "RESET", "DISCARD"})
"""Commands after which a name may stand for something else in their session alone."""


def _is_planned(query: Query) -> bool:
    """Whether EXPLAIN takes the query as it stands, which would run a second statement in it."""
    return query.command in PLANNED and is_one_statement(query.sql)


def auto_explained(notices: Sequence[str]) -> tuple[float, str] | None:
    """Seconds and plan of the last statement that auto_explain tells of, None without one."""
    for notice in reversed(notices):
        found = _AUTO_EXPLAIN.search(notice)
        if found is not None:
            try:
                plan_text = json.dumps({"Plan": json.loads(found[2])["Plan"]}, allow_nan=False)
                return float(found[1]) / 1000, plan_text
            except (ValueError, KeyError, RecursionError):
                continue  # a message that a function of the workload's has raised
    return None


def _names_of(graph: QueryGraph, key: str) -> frozenset[str]:
    names = graph.names_of(key)
    if names is None:
        raise SteeringError(
            f"this is no sub-plan query of the query: {key}",
            hint="`pull_subquery_card` gives the sub-plan queries that a query has.",
        )
    return names


def _refused(error: QueryError) -> SteeringError:
    return SteeringError(f"the server refuses a pushed setting: {error.message}", hint=error.hint)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
