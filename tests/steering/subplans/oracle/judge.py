"""The oracle: it pulls the sub-plans of a query and compares each with the truth.

What differs is a `Finding`. The oracle uses sub-plans as drivers do, so the way in which their keys
are made does not matter.
"""

from __future__ import annotations

import copy
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pilotcli.common.errors import PilotError, QueryTimeout
from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.requests import Pulls, Pushes, Steered
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.steering.subplans import NotAnalysable, observed_rows
from pilotcli.workload import leading_keyword

from .key_text import is_part
from .records import Case, Verdict
from .truth import Truth, Truths, alike

TIMEOUT_S = 6

_PARALLEL = "parallel, by partition, no index scans"
_ONLY_JOINS = {"hash": "hashjoin", "merge": "mergejoin", "nested loop": "nestloop"}
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    **{
        f"{name} joins only": {
            f"enable_{other}": "off" for other in _ONLY_JOINS.values() if other != kind
        }
        for name, kind in _ONLY_JOINS.items()
    },
    _PARALLEL: {
        "enable_indexscan": "off",
        "enable_bitmapscan": "off",
        "enable_indexonlyscan": "off",
        "parallel_setup_cost": "0",
        "parallel_tuple_cost": "0",
        "min_parallel_table_scan_size": "0",
        "min_parallel_index_scan_size": "0",
        "enable_partitionwise_aggregate": "on",
    },
}
"""Planner settings under which each query runs."""

_SERIAL = {"max_parallel_workers_per_gather": "0"}
_CHANGES = re.compile(r"\b(insert|update|delete|merge|create|declare|into)\b", re.IGNORECASE)


class Oracle:
    """Judges queries on one server, in sessions of its own; to be closed by the caller.

    - `most_keys`: of a query with more sub-plans, this many are counted and pushed;
    - `parallel`: of so many queries one also runs in parallel, which starts processes for each, and
      takes as long as all other settings together; another one on the next major versions;
    - `push`: push cardinalities;
    - `without_module`: pull the sub-plans without the planner module too.
    """

    def __init__(
        self,
        target: PostgresTarget,
        config: PostgreSQLConfig,
        *,
        most_keys: int = 60,
        parallel: int = 1,
        push: bool = True,
        without_module: bool = False,
    ) -> None:
        self._most_keys = most_keys
        self._parallel = parallel
        self._push = push
        self._sessions: list[PostgresSession] = []
        self._target, self._config = target, config
        self._role: str | None = None
        pulls = Pulls(subquery_cards=True, physical_plan=True)
        self._puller = self._steering(pulls)
        self._pusher = self._steering(pulls)
        self._runner = self._steering(Pulls(physical_plan=True, actual_rows=True))
        self._plain: SessionSteering | None = None
        if without_module:
            self._config = copy.copy(config)
            self._config.planner = "never"
            self._plain = self._steering(Pulls(subquery_cards=True))
        self._truth = Truths(self._session())
        views = "SELECT relname FROM pg_class WHERE relkind = 'v'"
        self._views = frozenset(name for (name,) in self._truth.session.execute(views).rows)
        self.version = self._truth.session.connection.server_version // 10000

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
        if role != self._role:
            for steering in (self._puller, self._pusher, self._runner, self._plain):
                if steering is not None:
                    steering.run(query, None)
            self._truth.session.execute(query.sql)
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
        if self._plain is not None:
            self._check_plain(self._plain.run(query, None, execute=False), cards, verdict)
        verdict.keys = len(cards)
        if not cards:
            verdict.left_out = "; ".join(pulled.notes) or None
            if not pulled.notes and _has_relations(pulled.plan):
                verdict.add("silent", "", "sub-plans or a reason", "none")
            return
        step = -(-len(cards) // self._most_keys)
        judged = list(cards)[::-1][::step]
        truths = self._truth.of(judged)
        self._check_counts(cards, truths, verdict)
        if self._push:  # before an UPDATE makes tables larger, also one that is rolled back
            self._check_pushes(query, cards, judged, verdict)
        rows = self._check_observed(query, cards, truths, verdict)
        if self._push and rows is not None:
            self._check_rows(query, cards, judged, rows, verdict)

    def _check_plain(self, plain: Steered, cards: Mapping[str, float], verdict: Verdict) -> None:
        """The same keys come without the module."""
        without = plain.cards or {}
        for key in cards.keys() - without.keys():
            verdict.add("module", key, "also without the module", "; ".join(plain.notes))
        for key in without.keys() - cards.keys():
            verdict.add("module", key, "also with the module", "only without")

    def _check_counts(
        self, cards: Mapping[str, float], truths: Mapping[str, Truth], verdict: Verdict
    ) -> None:
        """Each key runs, and the planner expects for it the rows that were pulled."""
        for key, truth in truths.items():
            if truth.count is None and truth.error is None:
                verdict.slow.append(key)
            if truth.error is not None:
                verdict.add("count", key, "a count", truth.error)
            elif truth.rows is not None and not alike(cards[key], truth.rows):
                if (
                    verdict.case.ordered
                    or self._truth.has_estimate(key, cards[key])
                    or self._truth.removes_self_join(verdict.case.sql)
                ):
                    verdict.order += 1
                else:
                    verdict.add("estimate", key, truth.rows, cards[key])

    def _check_observed(
        self,
        query: Query,
        cards: Mapping[str, float],
        truths: Mapping[str, Truth],
        verdict: Verdict,
    ) -> Counter[str] | None:
        """Observed rows are the keys' counts. Returns the query's rows, None if they vary."""
        found: list[Counter[str]] = []
        wrong: dict[str, tuple[object, list[str]]] = {}
        counts: dict[str, int | None] = {key: truth.count for key, truth in truths.items()}
        for name, settings in self._settings(verdict.case):
            try:
                ran = self._run(query, Pushes(hints=dict(settings)))
            except QueryTimeout:
                verdict.slow.append(name)
                continue
            found.append(_multiset(ran))
            for key, rows in self._by_key(query, ran.plan).items():
                if key not in counts:
                    counts[key] = self._truth.of([key])[key].count
                expected = counts.get(key)
                verdict.observed += 1
                if expected is not None and rows != expected:
                    wrong.setdefault(key, (f"{expected} (count)", []))[1].append(f"{rows}: {name}")
                elif key not in cards:
                    wrong.setdefault(key, ("a pulled key", []))[1].append(name)
        for key, (truth, seen) in wrong.items():
            verdict.add("observed", key, truth, "; ".join(seen))
        return found[0] if found and all(rows == found[0] for rows in found) else None

    def _settings(self, case: Case) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yields the settings under which a query runs, with their names."""
        number = zlib.crc32(case.label.encode())
        for name, settings in SETTINGS.items():
            if name != _PARALLEL or (number + self.version // 2) % self._parallel == 0:
                yield name, settings

    def _check_pushes(
        self, query: Query, cards: Mapping[str, float], keys: Sequence[str], verdict: Verdict
    ) -> None:
        """Each key alone is taken, and changes the rows of its own relations only."""
        lost: list[str] = []
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
            if shown is not None and not alike(shown, rows):
                verdict.add("push", key, f"{rows} in the plan", shown)
            after = pushed.cards or {}
            for other, before in cards.items():
                now = after.get(other)
                if now is None:
                    lost.append(other)
                elif not alike(now, before) and not is_part(key, other, self._views):
                    if self._truth.has_estimate(other, now):  # GEQO found another order
                        verdict.order += 1
                    else:
                        verdict.add("push", key, f"{before} for {other}", now)
        if lost and not verdict.case.ordered:
            what = f"{len(lost)} missing with {len(keys)} pushes, one at a time"
            verdict.add("push", lost[0], "the same sub-plans with every push", what)

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
            keys = self._runner.abilities.namer.read(query.sql).keys
        except NotAnalysable:
            return {}
        return {
            keys[subplan]: rows for subplan, rows in observed_rows(plan).items() if subplan in keys
        }


def _query(sql: str) -> Query:
    return Query(seq=1, label="query", sql=sql, command=leading_keyword(sql))


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
