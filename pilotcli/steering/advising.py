"""Turns pushed methods and join orders into advice for PostgreSQL 19's pg_plan_advice.

A pushed method names the relations of a join, advice those of its inner side. So pilot asks the
server, by EXPLAIN, how it would join these relations by that method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.hint_plan import read_hints, split_names
from pilotcli.steering.methods import JoinOrder, Method, hint_text
from pilotcli.steering.naming import Namer
from pilotcli.steering.not_applied import REMOVED, why_not_planned
from pilotcli.steering.plan_advice import (
    ADVICE_SETTING,
    Item,
    PlanShape,
    item_for,
    order_item,
    quote,
    read_advice,
)
from pilotcli.steering.sql import own_statements, set_all
from pilotcli.steering.subplans import GraphCatalog, NotAnalysable

_SAVEPOINT = "pilot_advice"
_SCANS = {"SeqScan": "SEQ_SCAN", "TidScan": "TID_SCAN", "BitmapScan": "BITMAP_HEAP_SCAN"}
_INDEX_SCANS = {"IndexScan": "INDEX_SCAN", "IndexOnlyScan": "INDEX_ONLY_SCAN"}
_JOINS = {"NestLoop": "NESTED_LOOP", "HashJoin": "HASH_JOIN", "MergeJoin": "MERGE_JOIN"}
_WORDS = {"NestLoop": "nested loop", "HashJoin": "hash join", "MergeJoin": "merge join"}


@dataclass(frozen=True, slots=True)
class Advised:
    """The advice for a query: each item with the push that it stands for; the pushes that no
    advice can express; and those that do not fit the query, each with the reason."""

    items: Sequence[tuple[str, Item]] = ()
    others: Sequence[Method] = ()
    ignored: Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class _Draft:
    items: list[tuple[str, Item]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    joins: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)
    """The text, the method and the relations of each join method among `items`."""

    @property
    def advice(self) -> str:
        return " ".join(item.text for _, item in self.items)


class Adviser:
    """Writes advice for the queries of one session, which has pg_plan_advice."""

    def __init__(self, session: PostgresSession, namer: Namer, catalog: GraphCatalog) -> None:
        self._session = session
        self._namer = namer
        self._catalog = catalog

    def explain(self, sql: str, prefix: str, advice: str = "") -> PlanShape:
        """Returns the plan of `sql` as advice.

        `prefix` has settings for the planning, which also gets `advice`. Raises `NotAnalysable` for
        a statement that the server does not explain.
        """
        return self.shape(self.plan(sql, prefix + set_all(((ADVICE_SETTING, advice),))))

    def shape(self, plan: Mapping[str, Any]) -> PlanShape:
        """Returns a plan that `plan` has returned as advice."""
        return PlanShape(read_advice(str(plan.get("Generated Plan Advice", ""))))

    def plan(self, sql: str, prefix: str, options: str = "") -> Mapping[str, Any]:
        """Returns the output of EXPLAIN for the query in `sql`, as an object. Raises as
        `explain`."""
        session = self._session
        text = f"{prefix}EXPLAIN ({options}PLAN_ADVICE, FORMAT JSON) {self._namer.query_in(sql)}"
        with own_statements(session):
            try:
                if not session.in_transaction:
                    return plan_of(session.execute(text))
                session.execute(f"SAVEPOINT {_SAVEPOINT}")
                try:
                    return plan_of(session.execute(text))
                finally:
                    session.execute(
                        f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}"
                    )
            except QueryError as error:
                raise NotAnalysable(
                    f"the server does not explain it: {error.message}", hint=error.hint
                ) from None

    def advise(
        self, sql: str, prefix: str, methods: Sequence[Method], order: JoinOrder | None
    ) -> Advised:
        """Returns the advice for pushed methods and a join order. Raises as `explain`."""
        draft, others = _Draft(), []
        shape = self.explain(sql, prefix)

        def ask(settings: Mapping[str, str]) -> PlanShape:
            own = set_all(tuple(settings.items()))
            return self.explain(sql, prefix + own, draft.advice)

        find = _finder(sql, shape, self._catalog)
        if order:
            _add_order(draft, find, order)
        with_index = []
        for method in _last_ones(draft, methods):
            kind, text = method[0].value, hint_text([method], None)
            names = split_names(method[1])
            if kind in _JOINS:
                _add_join(draft, find, ask, (kind, text, names))
            elif kind in _SCANS:
                target = _found(draft, find, text, names[:1])
                if target:
                    parts = tuple(shape.scanned(target[0]))
                    draft.items.append((text, Item(_SCANS[kind], parts)))
            elif kind in _INDEX_SCANS:
                with_index.append((kind, text, names))
            else:
                others.append(method)
        for given in with_index:  # in the joins that are chosen by now
            _add_index_scan(draft, find, ask, shape, given)
        if len(shape.targets) > 2:
            _drop_unfollowed(draft, ask)
        return Advised(draft.items, others, draft.ignored)


_Find = Callable[[str], tuple[str, str]]
_Ask = Callable[[Mapping[str, str]], PlanShape]
_Given = tuple[str, str, Sequence[str]]
"""A method, its text, and its names."""


def _last_ones(draft: _Draft, methods: Sequence[Method]) -> list[Method]:
    """Returns the methods that no later one replaces, as in pg_hint_plan; a note of the others."""
    hints = [read_hints(hint_text([method], None))[0] for method in methods]
    last = {hint.subject: hint.meaning for hint in hints if hint.words}
    found = []
    for method, hint in zip(methods, hints, strict=True):
        if hint.words and last[hint.subject] != hint.meaning:
            draft.ignored.append((hint.text, "another method after it is for the same relations"))
        else:
            found.append(method)
    return found


def _finder(sql: str, shape: PlanShape, catalog: GraphCatalog) -> _Find:
    """Returns a function from a driver's name to the relation, or to why there is none."""

    def find(name: str) -> tuple[str, str]:
        found = shape.named(name)
        if len(found) == 1:
            return found[0], ""
        if found:
            return "", f"several relations are called {name}: {', '.join(found)}"
        return "", why_not_planned(sql, name, catalog)

    return find


def _found(draft: _Draft, find: _Find, text: str, names: Sequence[str]) -> list[str]:
    """Returns the relations with `names`; nothing, and a note, if one is not there."""
    found = []
    for name in names:
        target, why_not = find(name)
        if why_not:
            draft.ignored.append((text, why_not))
            return []
        found.append(target)
    return found


def _add_order(draft: _Draft, find: _Find, order: JoinOrder) -> None:
    text = hint_text((), order)
    removed: list[str] = []

    def resolve(part: Any) -> Any:
        if isinstance(part, str):
            target, why_not = find(part)
            if why_not:
                removed.append(why_not)
            return target
        found = [one for one in map(resolve, part) if one]
        return found[0] if len(found) == 1 else found

    resolved = resolve(order)
    unknown = [why for why in removed if not why.startswith(REMOVED)]
    if unknown:
        draft.ignored.append((text, unknown[0]))
    elif isinstance(resolved, str) or not resolved:
        draft.ignored.append((text, removed[0]))
    else:
        draft.items.append((text, order_item(resolved)))


def _add_join(draft: _Draft, find: _Find, ask: _Ask, given: _Given) -> None:
    kind, text, names = given
    targets = frozenset(_found(draft, find, text, names))
    if not targets:
        return
    if len(targets) < 2:
        draft.ignored.append((text, "a join has two relations at least"))
        return
    settings = {f"enable_{other.lower()}": "off" for other in _JOINS if other != kind}
    shape = ask({**settings, f"enable_{kind.lower()}": "on"})
    sides = shape.meeting(targets)
    if sides is None:
        draft.ignored.append((text, "its relations are not planned together"))
        return
    tag = shape.methods.get(sides[1], "")
    if not tag.startswith(_JOINS[kind]):
        draft.ignored.append((text, f"the planner has no {_WORDS[kind]} for it"))
        return
    draft.items.append((text, item_for(tag, sides[1])))
    draft.joins.append((text, kind, targets))


def _drop_unfollowed(draft: _Draft, ask: _Ask) -> None:
    """Drop methods that the plan follows in another join than the one of their relations."""
    while draft.joins:
        shape = ask({})
        for join in draft.joins:
            text, kind, targets = join
            sides = shape.meeting(targets)
            if sides is None or not shape.methods.get(sides[1], "").startswith(_JOINS[kind]):
                draft.ignored.append((text, "the planner then joins these relations otherwise"))
                draft.items = [item for item in draft.items if item[0] != text]
                draft.joins.remove(join)
                break
        else:
            return


def _add_index_scan(draft: _Draft, find: _Find, ask: _Ask, shape: PlanShape, given: _Given) -> None:
    kind, text, names = given
    target = _found(draft, find, text, names[:1])
    if not target:
        return
    tag, indexes = _INDEX_SCANS[kind], [quote(name) for name in names[1:]]
    parts = shape.scanned(target[0])
    if len(indexes) == 1 and parts == target:
        draft.items.append((text, Item(tag, (target[0], indexes[0]))))
        return
    others = ("seqscan", "bitmapscan", "tidscan")
    settings = {f"enable_{other}": "off" for other in others}
    settings["enable_indexonlyscan"] = "off" if kind == "IndexScan" else "on"
    scans = ask({**settings, "enable_indexscan": "on"}).scans
    chosen: list[str] = []
    for part in parts:  # the index of a partition has a name of its own
        scan = scans.get(part)
        if scan is not None and scan.tag == tag:
            chosen += scan.targets
    if parts == target and chosen and indexes and chosen[1].split(".")[-1] not in indexes:
        chosen[1] = indexes[0]
    if len(chosen) < 2 * len(parts):
        draft.ignored.append((text, f"the planner has no such scan for {names[0]}"))
    else:
        draft.items.append((text, Item(tag, tuple(chosen))))
