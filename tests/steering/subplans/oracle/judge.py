"""The oracle: it pulls the sub-plans of a query and compares each with the truth.

What differs is a `Finding`. The oracle uses sub-plans as drivers do, so the way in which their keys
are made does not matter.
"""

from __future__ import annotations

import copy
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotcli.common.errors import PilotError, QueryError, QueryTimeout
from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.steering.sql import literal
from pilotcli.steering.subplans import NotAnalysable, analyse, observed_cardinalities
from pilotcli.workload import leading_keyword

from .key_text import is_part, reordered

__all__ = ["Case", "Finding", "Oracle", "Verdict"]

TIMEOUT_S = 6
KEY_TIMEOUT_MS = 1500

_ONLY_JOINS = {"hash": "hashjoin", "merge": "mergejoin", "nested loop": "nestloop"}
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    **{
        f"{name} joins only": {
            f"enable_{other}": "off" for other in _ONLY_JOINS.values() if other != kind
        }
        for name, kind in _ONLY_JOINS.items()
    },
    "parallel, no index scans": {
        "enable_indexscan": "off",
        "enable_bitmapscan": "off",
        "enable_indexonlyscan": "off",
        "parallel_setup_cost": "0",
        "parallel_tuple_cost": "0",
        "min_parallel_table_scan_size": "0",
        "min_parallel_index_scan_size": "0",
    },
}
"""Planner settings under which each query runs."""

_SERIAL = {"max_parallel_workers_per_gather": "0"}
_CHANGES = re.compile(r"\b(insert|update|delete|merge|create|declare|into)\b", re.IGNORECASE)

# Plans and counts each query; one that fails has the error's text instead. The planner expects the
# rows of the aggregate's input, which follows its InitPlans.
_FUNCTION = """CREATE FUNCTION pg_temp.truths(keys text[], counted boolean, OUT rows float8,
    OUT count int8, OUT error text) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    key text;
    plan jsonb;
BEGIN
    FOREACH key IN ARRAY keys LOOP
        rows := NULL; count := NULL; error := NULL;
        BEGIN
            EXECUTE 'EXPLAIN (FORMAT JSON) ' || key INTO plan;
            rows := (jsonb_path_query_first(plan,
                '$[0].Plan.Plans[*] ? (@."Parent Relationship" == "Outer")."Plan Rows"'))::float8;
            IF counted THEN
                EXECUTE key INTO count;
            END IF;
        EXCEPTION WHEN others THEN
            error := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$"""
_TRUTH_SETTINGS = f"""SET max_parallel_workers_per_gather = 0; SET join_collapse_limit = 100;
SET from_collapse_limit = 100; SET geqo = off; SET statement_timeout = {KEY_TIMEOUT_MS};
SET plan_cache_mode = force_custom_plan"""


@dataclass(frozen=True, slots=True)
class Case:
    """A query of the corpus.

    - `role`: the role that asks it; `since`: the first server version with its syntax;
    - `borrowed`: made for other purposes: the server may refuse it, and its LIMIT may pick any of
      several rows, so that only their number is compared.
    """

    label: str
    sql: str
    role: str | None = None
    since: int = 0
    borrowed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between a sub-plan and the truth.

    `kind`:
    - `count`: the key does not run;
    - `estimate`: the planner's rows for the key alone differ from the rows under the key;
    - `observed`: the rows of an executed plan differ from the key's count;
    - `push`: a pushed key was refused, is in no report, did not change the plan or changed the
      estimate of another sub-plan;
    - `rows`: the query returned other rows with pushed cardinalities;
    - `silent`: there are no sub-plans and no reason;
    - `error`: pulling or running failed.
    """

    kind: str
    query: str
    sql: str
    key: str
    expected: object
    seen: object

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.query}: expected {self.expected}, seen {self.seen}\n"
            f"    query {self.sql}\n    key   {self.key}"
        )


@dataclass(slots=True)
class Verdict:
    """What came out for one query: its findings, and how many sub-plans were judged how."""

    case: Case
    keys: int = 0
    left_out: str | None = None
    observed: int = 0
    order: int = 0
    """Sub-plans whose rows the planner expects in another order of FROM and WHERE only."""
    slow: list[str] = field(default_factory=list)
    """Keys and settings that took too long to be judged."""
    applied: int = 0
    ignored: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, kind: str, key: str, expected: object, seen: object) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, self.case.label, self.case.sql, key, expected, seen))


@dataclass(frozen=True, slots=True)
class _Truth:
    rows: float | None
    count: int | None
    error: str | None


class Oracle:
    """Judges queries on one server, in sessions of its own; to be closed by the caller.

    `most_keys`: of a query with more sub-plans, this many are counted and pushed. Without `push`
    nothing is pushed.
    """

    def __init__(
        self,
        target: PostgresTarget,
        config: PostgreSQLConfig,
        *,
        most_keys: int = 60,
        push: bool = True,
    ) -> None:
        self._most_keys = most_keys
        self._push = push
        self._sessions: list[PostgresSession] = []
        self._target, self._config = target, config
        pulls = Pulls(subquery_cards=True, physical_plan=True)
        self._puller = self._steering(pulls)
        self._pusher = self._steering(pulls)
        self._runner = self._steering(Pulls(physical_plan=True, actual_rows=True))
        self._truth = self._session()
        self._truth.execute(_FUNCTION)
        self._truth.execute(_TRUTH_SETTINGS)
        views = "SELECT relname FROM pg_class WHERE relkind = 'v'"
        self._views = frozenset(name for (name,) in self._truth.execute(views).rows)
        self.version = self._truth.connection.server_version // 10000

    def close(self) -> None:
        """Close the sessions."""
        for session in self._sessions:
            session.close()

    def judge(self, case: Case) -> Verdict:
        """Returns what came out for the query."""
        verdict, began = Verdict(case), time.perf_counter()
        try:
            self._set_role(case.role)
            self._judge(case, verdict)
        except PilotError as error:
            verdict.add("error", "", "a result", error)
        finally:
            self._set_role(None)
        verdict.seconds = time.perf_counter() - began
        return verdict

    def _session(self) -> PostgresSession:
        self._sessions.append(self._target.session(timeout_s=TIMEOUT_S))
        return self._sessions[-1]

    def _steering(self, pulls: Pulls) -> SessionSteering:
        session = self._session()
        abilities = Abilities(session, self._config)
        return SessionSteering(session, abilities, pulls, skip_missing=False)

    def _set_role(self, role: str | None) -> None:
        query = _query(f"SET ROLE {role or 'NONE'}")
        if role != getattr(self, "_role", None):
            for steering in (self._puller, self._pusher, self._runner):
                steering.run(query, None)
            self._truth.execute(query.sql)
            self._role = role

    def _judge(self, case: Case, verdict: Verdict) -> None:
        query = _query(case.sql)
        pulled = self._puller.run(query, None, execute=False)
        if pulled.error is not None:
            if case.borrowed:
                verdict.left_out = f"not PostgreSQL's: {pulled.error}"
            else:
                verdict.add("error", "", "a plan", pulled.error)
            return
        cards = pulled.cards or {}
        verdict.keys = len(cards)
        if not cards:
            verdict.left_out = "; ".join(pulled.notes) or None
            if not pulled.notes and _has_relations(pulled.plan):
                verdict.add("silent", "", "sub-plans or a reason", "none")
            return
        step = -(-len(cards) // self._most_keys)
        judged = list(cards)[::-1][::step]
        truths = self._truths(judged)
        self._check_counts(cards, truths, verdict)
        if self._push:  # before an UPDATE makes tables larger, also one that is rolled back
            self._check_pushes(query, cards, judged, verdict)
        rows = self._check_observed(query, cards, truths, verdict)
        if self._push and rows is not None:
            self._check_rows(query, cards, judged, rows, verdict)

    def _truths(self, keys: Sequence[str], *, counted: bool = True) -> dict[str, _Truth]:
        """Returns the rows, the count (None if it takes too long) and the error of each key."""
        listed = ", ".join(map(literal, keys))
        try:
            rows = self._truth.execute(
                f"SELECT * FROM pg_temp.truths(ARRAY[{listed}]::text[], {counted})"
            ).rows
            return {key: _Truth(*row) for key, row in zip(keys, rows, strict=True)}
        except QueryError as error:
            if len(keys) == 1 and counted:
                return self._truths(keys, counted=False)
            if len(keys) == 1:
                return {keys[0]: _Truth(None, None, error.message)}
            return {name: truth for key in keys for name, truth in self._truths([key]).items()}

    def _check_counts(
        self, cards: Mapping[str, float], truths: Mapping[str, _Truth], verdict: Verdict
    ) -> None:
        """Each key runs, and the planner expects for it the rows that were pulled."""
        for key, truth in truths.items():
            if truth.count is None and truth.error is None:
                verdict.slow.append(key)
            if truth.error is not None:
                verdict.add("count", key, "a count", truth.error)
            elif truth.rows is not None and not _alike(cards[key], truth.rows):
                if self._has_estimate(key, cards[key]):
                    verdict.order += 1
                else:
                    verdict.add("estimate", key, truth.rows, cards[key])

    def _has_estimate(self, key: str, rows: float) -> bool:
        """Whether the planner expects `rows` from the key in some order of FROM and WHERE.

        The rows of three or more relations depend on the order in which their derivable are read
        (equivalence classes in `src/backend/optimizer/README`).
        """
        for orders in reordered(key):
            listed = ", ".join(map(literal, orders))
            try:
                found = self._truth.execute(
                    f"SELECT rows FROM pg_temp.truths(ARRAY[{listed}]::text[], false)"
                ).rows
            except QueryError:
                return False
            if any(other is not None and _alike(rows, other) for (other,) in found):
                return True
        return False

    def _check_observed(
        self,
        query: Query,
        cards: Mapping[str, float],
        truths: Mapping[str, _Truth],
        verdict: Verdict,
    ) -> Counter[str] | None:
        """Observed rows are the keys' counts. Returns the query's rows, None if they vary."""
        found: list[Counter[str]] = []
        wrong: dict[str, tuple[object, list[str]]] = {}
        counts: dict[str, int | None] = {key: truth.count for key, truth in truths.items()}
        for name, settings in SETTINGS.items():
            try:
                ran = self._run(query, Pushes(hints=dict(settings)))
            except QueryTimeout:
                verdict.slow.append(name)
                continue
            found.append(_multiset(ran))
            for key, rows in self._by_key(query, ran.plan).items():
                if key not in counts:
                    counts[key] = self._truths([key])[key].count
                expected = counts.get(key)
                verdict.observed += 1
                if expected is not None and rows != expected:
                    wrong.setdefault(key, (f"{expected} (count)", []))[1].append(f"{rows}: {name}")
                elif key not in cards:
                    wrong.setdefault(key, ("a pulled key", []))[1].append(name)
        for key, (truth, seen) in wrong.items():
            verdict.add("observed", key, truth, "; ".join(seen))
        return found[0] if found and all(rows == found[0] for rows in found) else None

    def _check_pushes(
        self, query: Query, cards: Mapping[str, float], keys: Sequence[str], verdict: Verdict
    ) -> None:
        """Each key alone is taken, and changes the rows of its own relations only."""
        for key in keys:
            rows = cards[key] * 7 + 13
            pushed = self._pusher.run(query, Pushes({**_SERIAL}, {key: rows}), execute=False)
            report = pushed.report
            if pushed.error is not None or report is None:
                verdict.add("push", key, "applied", pushed.error or "no report")
                continue
            ignored = [reason for name, reason in report.ignored if name == key]
            if ignored:
                verdict.ignored.append((key, ignored[0]))
                continue
            if key not in report.applied:
                verdict.add("push", key, "applied", report)
                continue
            verdict.applied += 1
            shown = self._by_key(query, _as_executed(pushed.plan)).get(key)
            if shown is not None and not _alike(shown, rows):
                verdict.add("push", key, f"{rows} in the plan", shown)
            after = pushed.cards or {}
            for other, before in cards.items():
                now = after.get(other)
                if now is None:
                    verdict.add("push", key, "the same sub-plans", f"without {other}")
                elif not _alike(now, before) and not is_part(key, other, self._views):
                    verdict.add("push", key, f"{before} for {other}", now)

    def _check_rows(
        self,
        query: Query,
        cards: Mapping[str, float],
        keys: Sequence[str],
        expected: Counter[str],
        verdict: Verdict,
    ) -> None:
        """The query returns the same rows when all keys are pushed."""
        refused = {finding.key for finding in verdict.findings if finding.kind == "push"}
        numbers = (lambda rows: rows * 7 + 13, lambda rows: 1.0, lambda rows: rows)
        pushed = {
            key: numbers[at % 3](cards[key]) for at, key in enumerate(keys) if key not in refused
        }
        if not pushed:
            return
        try:
            rows = _multiset(self._run(query, Pushes(cards=pushed), self._pusher))
        except QueryTimeout:
            verdict.slow.append("with pushed cardinalities")
            return
        total = sum(expected.values())
        any_rows = verdict.case.borrowed and "LIMIT" in query.sql.upper()
        if rows != expected and not (any_rows and sum(rows.values()) == total):
            verdict.add("rows", "; ".join(pushed), f"{total} rows", f"{sum(rows.values())} rows")

    def _run(
        self, query: Query, pushes: Pushes, steering: SessionSteering | None = None
    ) -> Steered:
        steering = steering or self._runner
        changes = _CHANGES.search(query.sql) is not None
        if changes:
            steering.session.execute("BEGIN")
        try:
            ran = steering.run(query, pushes)
        finally:
            if changes:
                steering.session.rollback()
        if ran.error is not None:
            raise ran.error
        return ran

    def _by_key(self, query: Query, plan: dict[str, Any] | None) -> dict[str, float]:
        """Returns the rows that an executed plan shows, by sub-plan query, as drivers get them."""
        if plan is None:
            return {}
        try:
            graph = analyse(query.sql, self._runner.abilities.catalog)
        except NotAnalysable:
            return {}
        observed = observed_cardinalities(plan, graph)
        return {str(graph.key(names)): rows for names, rows in observed.items()}


def _query(sql: str) -> Query:
    return Query(seq=1, label="query", sql=sql, command=leading_keyword(sql))


def _alike(one: float, other: float) -> bool:
    """Whether two estimates are the same to rounding."""
    return abs(one - other) <= max(1.0, 0.01 * max(one, other))


def _multiset(ran: Steered) -> Counter[str]:
    return Counter(map(repr, ran.rows.rows))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _has_relations(plan: dict[str, Any] | None) -> bool:
    nodes = [] if plan is None else _nodes(plan["Plan"])
    aliases = {node.get("Alias") for node in nodes if node["Node Type"] != "ModifyTable"}
    return bool(aliases - {None, "*VALUES*"})


def _as_executed(plan: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns the plan with the planner's rows in the place of actual rows."""
    changed = copy.deepcopy(plan)
    for node in [] if changed is None else _nodes(changed["Plan"]):
        node["Actual Rows"], node["Actual Loops"] = node["Plan Rows"], 1
    return changed
