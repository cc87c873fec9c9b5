"""What a driver learned in a run, as plan advice: PostgreSQL 19 follows it where pilot is not.

The pushes of each query are planned again, and the server writes the plan as advice.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pilotcli.common.errors import CapabilityError, PilotError, QueryError
from pilotcli.common.records import Query, QueryResult, SteeringReport
from pilotcli.config import PilotConfig
from pilotcli.databases.opening import open_target
from pilotcli.steering.advising import Adviser
from pilotcli.steering.capabilities import Abilities, abilities_of
from pilotcli.steering.hint_plan import Hint, read_hints
from pilotcli.steering.message_writer import MessageWriter
from pilotcli.steering.methods import ScanJoinMethodEnum
from pilotcli.steering.plan_advice import (
    ADVICE_SETTING,
    TAGS,
    Item,
    PlanShape,
    read_advice,
    single_items,
)
from pilotcli.steering.planned_query import is_planned
from pilotcli.steering.requests import Pushes
from pilotcli.steering.sql import literal
from pilotcli.storage.journal import Journal, QueryRecord
from pilotcli.workload import leading_keyword

WARNING = (
    "Advice names relations and indexes. It belongs to this version of PostgreSQL, this schema and "
    "these query texts: write it again after a change."
)
_SETTING = re.compile(r"([A-Za-z_][\w.]*) = (.*?)( \(for the whole query\))?", re.DOTALL)
_AS_ADVICE = re.compile(r".* as ([A-Z_]+\(.*\))", re.DOTALL)
_METHODS = {method.value.lower(): method for method in ScanJoinMethodEnum}
_BY_COMMENT = ("rows", "parallel")


@dataclass(frozen=True, slots=True)
class QueryAdvice:
    """The advice for one query of a run.

    - `query_id`: by which pg_stash_advice finds the query; None if the server does not compute it;
    - `advice`: None if there is none, or none is needed; `reason` says why;
    - `differs`: what the server plans in another way with the advice alone than with the pushes.
    """

    seq: int
    label: str
    sql: str
    query_id: str | None = None
    advice: str | None = None
    reason: str | None = None
    differs: str | None = None


@dataclass(frozen=True, slots=True)
class RunAdvice:
    """The advice for the queries of a run; `server_version` is that of the server it is for."""

    run_id: int
    database: str
    server_version: str
    queries: Sequence[QueryAdvice] = ()
    warning: str = WARNING


@dataclass(slots=True)
class _Steered:
    """The last steered execution of a query text, and the time of all its executions."""

    record: QueryRecord
    report: SteeringReport | None = None
    total_s: float = 0.0


def advice_of_run(journal: Journal, run_id: int | None, config: PilotConfig) -> RunAdvice:
    """Returns the advice for each query of a run, planned on the server of `config`.

    Raises `CapabilityError` for a server without pg_plan_advice, and `StorageError`.
    """
    record = journal.run(run_id)
    queries = _steered(journal, record.run_id)
    target = open_target(config)
    with contextlib.closing(target), abilities_of(target) as able:
        version = able.server_version
        if not able.plan_advice:
            missing = able.missing("plan advice")
            if record.database == target.description:
                raise missing
            raise CapabilityError(
                missing.message,
                hint=f"Run {record.run_id} was on another database, {record.database}: "
                "name its config with --config, or its server with --set database.dsn=...",
            )
        with contextlib.suppress(QueryError):  # the role may not; pg_stash_advice does it, too
            able.session.execute("SET compute_query_id = on")
        found = list(_each(able, queries))
    database = record.database
    return RunAdvice(record.run_id, database, version, _without_clashes(found, queries))


def _steered(journal: Journal, run_id: int) -> dict[str, _Steered]:
    """Returns the queries of a run by their text, in the order of the workload."""
    by_text: dict[str, _Steered] = {}
    by_number = {
        record.seq: by_text.setdefault(record.sql, _Steered(record))
        for record in journal.queries(run_id)
    }
    for result in journal.results(run_id):  # by round
        known = by_number.get(result.seq)
        if known is not None:
            known.total_s += result.elapsed_s
            if _is_steered(result):
                known.report = result.steering
    return by_text


def _is_steered(result: QueryResult) -> bool:
    report = result.steering
    return report is not None and result.ok and report.native is None and bool(report.applied)


def _each(able: Abilities, queries: Mapping[str, _Steered]) -> Iterator[QueryAdvice]:
    writer = MessageWriter(able, skip_missing=True)
    for sql, steered in queries.items():
        record = steered.record
        query = Query(record.seq, record.label, sql, command=leading_keyword(sql))
        found = QueryAdvice(record.seq, record.label, sql)
        reason = None
        if steered.report is None:
            reason = "nothing was pushed for it"
        elif record.truncated:
            reason = "the journal has only the beginning of its text"
        elif not is_planned(query):
            reason = "it is no single statement with a plan"
        if reason is not None or steered.report is None:
            yield _with(found, reason=reason)
            continue
        try:
            yield _advise(able.adviser, writer, query, steered.report)
        except PilotError as error:
            yield _with(found, reason=error.message)


def _with(found: QueryAdvice, *, reason: str | None) -> QueryAdvice:
    return QueryAdvice(found.seq, found.label, found.sql, found.query_id, reason=reason)


def _advise(
    adviser: Adviser, writer: MessageWriter, query: Query, report: SteeringReport
) -> QueryAdvice:
    pushes, unread = pushes_of(report)
    message = writer.write(query, pushes)
    lost = [*unread, *(what for what, _ in message.ignored)]
    plan = adviser.plan(message.sql, message.comment + message.prefix(), "VERBOSE, ")
    wanted, native = adviser.shape(plan), adviser.explain(query.sql, "")
    number = plan.get("Query Identifier")
    found = QueryAdvice(query.seq, query.label, query.sql, None if number is None else str(number))
    if lost:
        return _with(found, reason=f"this server does not take what was pushed: {lost[0]}")
    if _behaviours(wanted) == _behaviours(native):
        return _with(found, reason="the planner chooses this plan without advice")
    advice = " ".join(item.text for item in wanted.items)
    alone = _behaviours(adviser.explain(query.sql, "", advice))
    missed = [item.text for item in single_items(wanted.items) if item not in alone]
    differs = ", ".join(missed) or None
    return QueryAdvice(found.seq, found.label, found.sql, found.query_id, advice, differs=differs)


def _behaviours(shape: PlanShape) -> frozenset[Item]:
    return frozenset(single_items(shape.items))


def pushes_of(report: SteeringReport) -> tuple[Pushes, list[str]]:
    """Returns what was pushed by a journal's report, and what cannot be read from it."""
    pushes, unread = Pushes(), []
    pushes.add_cards(dict(report.cards))
    advice: list[str] = []
    for what in report.applied:
        if what in pushes.cards:
            continue
        as_advice = _AS_ADVICE.fullmatch(what)
        items = read_advice(as_advice[1] if as_advice else what)
        if items and items[0].tag in TAGS:
            advice.extend(item.text for item in items)
        elif (setting := _SETTING.fullmatch(what)) is not None:
            pushes.add_hints({setting[1]: setting[2]})
        else:
            hints = read_hints(what)
            if not hints or not all(_add_hint(pushes, hint) for hint in hints):
                unread.append(what)
    if advice:
        pushes.add_hints({ADVICE_SETTING: " ".join(advice)})
    return pushes, unread


def _add_hint(pushes: Pushes, hint: Hint) -> bool:
    inner = hint.text[hint.text.find("(") + 1 : -1]
    if hint.words is None:
        return False
    if hint.keyword == "leading":
        pushes.add_order(inner)
    elif hint.keyword in _METHODS and hint.keyword not in _BY_COMMENT:
        pushes.add_methods((_METHODS[hint.keyword], inner))
    else:
        pushes.add_comment(f"/*+ {hint.text} */")
    return True


def _without_clashes(
    found: Sequence[QueryAdvice], queries: Mapping[str, _Steered]
) -> list[QueryAdvice]:
    """Keep one advice for each identifier: queries that differ in constants share theirs."""
    best: dict[str, QueryAdvice] = {}
    for one in found:
        if one.advice is not None and one.query_id is not None:
            other = best.get(one.query_id)
            if other is None or queries[one.sql].total_s > queries[other.sql].total_s:
                best[one.query_id] = one
    kept = []
    for one in found:
        first = best.get(one.query_id) if one.query_id is not None else None
        if first is None or first is one:
            kept.append(one)
        elif one.advice is None:
            too = f"{one.reason}; but {first.label} has its identifier, and its advice"
            kept.append(_with(one, reason=too))
        elif first.advice == one.advice:
            kept.append(_with(one, reason=f"the same as for {first.label}"))
        else:
            why = f"{first.label} has its identifier, and takes more time"
            kept.append(_with(one, reason=why))
    return kept


def as_stash(advice: RunAdvice) -> str:
    """Returns SQL that fills a stash of pg_stash_advice."""
    name = f"pilot_run_{advice.run_id}"
    stash = literal(name).strip()
    with_advice = [query for query in advice.queries if query.advice is not None]
    lines = [
        f"-- Plan advice of run {advice.run_id} of pilot, for PostgreSQL {advice.server_version}.",
        f"-- {advice.warning}",
        "-- Run this as a superuser. Sessions use the advice when they have loaded pg_stash_advice"
        " (session_preload_libraries) and:",
        f"--   SET pg_stash_advice.stash_name = {stash};",
        "CREATE EXTENSION IF NOT EXISTS pg_stash_advice;",
        f"SELECT pg_create_advice_stash({stash}) WHERE NOT EXISTS"  # noqa: S608
        f" (SELECT FROM pg_get_advice_stashes() WHERE stash_name = {stash});",
        "-- Of another run with this number, nothing stays.",
        "SELECT pg_set_stashed_advice(stash_name, query_id, NULL)"  # noqa: S608
        f" FROM pg_get_advice_stash_contents({stash});",
    ]
    for query in with_advice:
        label = " ".join(query.label.split())
        if query.query_id is None:
            lines.append(f"-- {label}: the server computes no identifier (compute_query_id)")
            continue
        lines.append(f"-- {label}" + (f"; not followed: {query.differs}" if query.differs else ""))
        text = literal(query.advice or "").strip()
        lines.append(f"SELECT pg_set_stashed_advice({stash}, {query.query_id}, {text});")
    lines += [
        f"-- {' '.join(query.label.split())}: no advice, {' '.join(str(query.reason).split())}"
        for query in advice.queries
        if query.advice is None
    ]
    return "\n".join(lines) + "\n"
