"""The conditions of a query block as the planner simplifies them, in the server's spelling."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pilotcli.steering.subplans.catalog import Catalog, Operator
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.from_clause import Qual, nested
from pilotcli.steering.subplans.join_tree import Clause, Equality
from pilotcli.steering.subplans.parsing import exp, identifier, parse, quoted, to_sql
from pilotcli.steering.subplans.predicates import is_volatile, mask_of
from pilotcli.steering.subplans.printing import (
    StandIn,
    ask,
    explained,
    printed_items,
    printed_sub_queries,
    printed_with,
    types_of,
    with_types,
)
from pilotcli.steering.subplans.pull_up import outer_entries
from pilotcli.steering.subplans.scope import Cte, Entry, own_nodes
from pilotcli.steering.subplans.spelling import (
    Bool,
    Comparison,
    Condition,
    bare,
    canonical,
    comparison_of,
    comparisons_in,
    conjuncts_of,
    extracted,
    mask_of_text,
    read_condition,
)

_USELESS = 0.9
_SUBS = "pilot_sub"
_SUB = re.compile(rf"\b{_SUBS}\.s(\d+)\b")


@dataclass(eq=False, slots=True, kw_only=True)
class ParsedClause(Clause):
    """A condition that was read from the query's text."""

    node: exp.Expression


def parsed(clause: Clause) -> exp.Expression:
    """Returns the expression of a clause that was read from the query's text."""
    assert isinstance(clause, ParsedClause)
    return clause.node


class Printer:
    """Prints the conditions and relations of one block with numbered relations."""

    def __init__(self, entries: Sequence[Entry], catalog: Catalog) -> None:
        self._entries = entries
        self._catalog = catalog
        self._numbers = {entry.name: entry.number for entry in entries}
        self._stand_ins = [with_types(entry.columns, entry.name) for entry in entries]
        self._operators: dict[Comparison, Operator | None] = {}
        self._parts: dict[Qual, list[Condition]] = {}

    def read(self, quals: Sequence[Qual]) -> None:
        """Print all these conditions."""
        if not quals:
            return
        subs: list[exp.Expression] = []
        nodes: list[exp.Expression] = []
        around: list[int] = []
        for qual in quals:
            _check_scope(qual)
            whole = qual.resolved()
            nodes.append(_without_sub_queries(whole, subs))
            around += [mask_of(whole)] * (len(subs) - len(around))
        if any(node.find(exp.Collate) for node in nodes):  # EXPLAIN does not print it
            raise NotAnalysable("a condition has COLLATE")
        kinds = {
            to_sql(kind)
            for node in nodes
            for kind in node.find_all(exp.DataType)
            if kind.this == exp.DataType.Type.USERDEFINED
        }
        if self._catalog.have_collations(kinds):
            raise NotAnalysable("a condition has a cast to a type with a collation of its own")
        stand_ins = self._stand_ins
        texts: list[str] = []
        if subs:
            columns = [column for node in nodes for column in node.find_all(exp.Column)]
            is_equality = any(
                column.table == _SUBS and isinstance(column.parent, exp.EQ) for column in columns
            )
            stand_in, texts = self._sub_queries(subs, around, is_equality=is_equality)
            stand_ins = [*stand_ins, stand_in]
        ((*found,),) = explained(
            self._catalog.session, [([to_sql(node) for node in nodes], stand_ins)]
        )
        for qual, text in zip(quals, found, strict=True):
            text = _SUB.sub(lambda match: texts[int(match.group(1))], text)
            self._parts[qual] = conjuncts_of(read_condition(text))
        self._read_operators(
            dict.fromkeys(
                comparison
                for parts in self._parts.values()
                for part in parts
                for comparison in comparisons_in(part)
            )
        )

    def _sub_queries(
        self, subs: Sequence[exp.Expression], around: Sequence[int], *, is_equality: bool
    ) -> tuple[StandIn, list[str]]:
        """Returns what replaces the sub-queries in conditions, and their texts.

        `around`: the relations of each one's condition; `is_equality`: one is a side of an
        equality.
        """
        items = "".join(f"{stand_in.text} CROSS JOIN " for stand_in in self._stand_ins)
        shown = [to_sql(sub) for sub in subs]
        columns = ", ".join(f"{text} AS s{at}" for at, text in enumerate(shown))
        outputs = self._catalog.outputs(f"LATERAL (SELECT {columns}) {_SUBS}", _SUBS, items)
        everything = (1 << len(self._stand_ins)) - 1
        asked = [
            (self._items_of(mask), text)
            for sub, text, own in zip(subs, shown, around, strict=True)
            for mask in (own, everything, mask_of(sub))
        ]
        printed = printed_sub_queries(self._catalog.session, asked)
        texts, among_all, alone = printed[::3], printed[1::3], printed[2::3]
        if texts != among_all:  # then the names in the text of a condition are not clear
            raise NotAnalysable("a sub-query in it has the name of a relation of another condition")
        if texts != alone and is_equality:
            raise NotAnalysable("it equals a sub-query that has the name of a relation around it")
        return StandIn(_SUBS, tuple(outputs)), texts

    def _items_of(self, mask: int) -> list[str]:
        """Returns what replaces these relations in FROM."""
        return [part.text for at, part in enumerate(self._stand_ins) if mask >> at & 1]

    def _read_operators(self, comparisons: Collection[Comparison]) -> None:
        sides = list(
            dict.fromkeys(side for part in comparisons for side in (part.left, part.right))
        )
        types = dict(
            zip(sides, types_of(self._catalog.session, sides, self._stand_ins), strict=True)
        )
        wanted = {
            part: (part.operator, types[part.left], types[part.right]) for part in comparisons
        }
        known = self._catalog.operators(wanted.values())
        self._operators = {part: known[key] for part, key in wanted.items()}

    def clauses(self, quals: Sequence[Qual], order: int) -> list[Clause]:
        """Returns the conditions that must all hold; the first one has the place `order`."""
        parts = [part for qual in quals for part in self._parts[qual]]
        if "false" in parts:
            raise NotAnalysable("the planner knows that a condition is never true")
        return [self._clause(part, order + at) for at, part in enumerate(parts)]

    def _clause(self, part: Condition, order: int) -> Clause:
        text = canonical(part, self._commutator, self._numbers)
        mask = mask_of_text(part, self._numbers)
        node = self._node(bare(text))
        equality = self._equality(text, node)
        if equality is not None and text != part:  # the sides in the query's order
            equality = Equality(equality.right, equality.left, equality.family)
        if equality is not None and equality.left[0] == equality.right[0]:
            text, equality = f"({equality.left[0]} IS NOT NULL)", None
            node = self._node(bare(text))
        compared = comparison_of(text)
        facts = self._operators.get(compared) if compared is not None else None
        node.meta["strict"] = facts is None or facts.strict
        kinds = {to_sql(kind).lower() for kind in node.find_all(exp.DataType)}
        is_nameless = not kinds.isdisjoint(("record", "record[]"))
        return ParsedClause(
            bare(text),
            mask,
            order,
            equality=equality,
            restrictions=tuple(self._restrictions(part, mask)),
            problem="it has a row whose type has no name" if is_nameless else "",
            node=node,
        )

    def _commutator(self, comparison: Comparison) -> str | None:
        found = self._operators[comparison]
        if found is None or found.commutator == "":
            raise NotAnalysable(f"the operator {comparison.operator} in it is not known")
        return found.commutator if found.is_condition else None

    def _equality(self, text: str, node: exp.Expression) -> Equality | None:
        found = comparison_of(text)
        if found is None or found.right.startswith(("ANY (", "ALL (")):
            return None
        facts = self._operators.get(found) or self._operators.get(
            Comparison(found.right, found.operator, found.left)
        )
        if facts is None or not facts.families or facts.volatile:
            return None
        if is_volatile(node, self._catalog):
            return None
        collations = {
            kind.partition(" COLLATE ")[2]
            for stand_in, entry in zip(self._stand_ins, self._entries, strict=True)
            for name, kind in stand_in.columns
            if f"{quoted(entry.name)}.{quoted(name)}" in text
        }
        if len(collations) > 1:
            raise NotAnalysable("an equality is between columns of different collations")
        left, right = (
            (side, mask_of_text(side, self._numbers)) for side in (found.left, found.right)
        )
        return Equality(left, right, " ".join([facts.families, *sorted(collations)]))

    def _restrictions(self, part: Condition, mask: int) -> list[tuple[str, int, str]]:
        if not isinstance(part, Bool) or part.word != "OR" or mask & (mask - 1) == 0:
            return []
        found = []
        for entry in self._entries:
            bit = 1 << entry.number
            if not bit & mask:
                continue
            taken = extracted(part, bit, lambda inner: mask_of_text(inner, self._numbers))
            if taken is not None:
                text = bare(canonical(taken, self._commutator, self._numbers))
                tested = entry.query is not None or self._is_tested(entry, text)
                problem = f"the planner may take a condition on {entry.name} from an OR"
                if tested is not False:
                    found.append((text, bit, "" if tested else problem))
        return found

    def _is_tested(self, entry: Entry, text: str) -> bool | None:
        """Whether the planner tests what an OR says about a table: it drops a condition that more
        than 90 % of the rows meet (orclauses.c). None if that cannot be known."""
        if entry.table is None or entry.table.has_children or entry.source is None:
            return None
        if is_volatile(self._node(text), self._catalog):
            return None
        item = entry.source(quoted(entry.name))
        query = f"PLAN EXPLAIN (FORMAT JSON) SELECT 1 FROM {item}"  # noqa: S608
        plans = ask(self._catalog.session, [query, f"{query} WHERE {text}"])
        if any(isinstance(plan, NotAnalysable) for plan in plans):
            return None
        total, kept = (plan[0]["Plan"]["Plan Rows"] for plan in plans)
        if abs(kept / total - _USELESS) < 1 / total + 0.001:  # both are rounded
            return None
        return bool(kept / total < _USELESS)

    def _node(self, text: str) -> exp.Expression:
        """Returns the syntax tree of a printed condition."""
        node: exp.Expression = parse(f"SELECT {text}").expressions[0]
        for column in node.find_all(exp.Column):
            column.meta["bit"] = self._numbers.get(column.table)
        return node

    def items(self) -> list[str]:
        """Returns the items of FROM; raises `NotAnalysable` where the server refuses one."""
        wanted = {
            entry.number: (self._items_of(used_by(entry)), entry.source(shown_as(entry)))
            for entry in self._entries
            if entry.source is not None and entry.query is not None and entry.cte is None
        }
        printed: dict[int, str] = {}
        if wanted:
            texts = printed_items(self._catalog.session, list(wanted.values()))
            printed = dict(zip(wanted, texts, strict=True))
        return [
            printed.get(entry.number) or ("" if entry.cte is not None else self._item(entry))
            for entry in self._entries
        ]

    def with_text(self, cte: Cte) -> str:
        """Returns a part of WITH."""
        columns = ", ".join(quoted(column) for column in cte.columns)
        head = quoted(cte.name) + (f"({columns})" if columns else "")
        if cte.recursive:
            return printed_with(self._catalog.session, f"RECURSIVE {head} AS ({to_sql(cte.query)})")
        body = to_sql(nested(cte.query, cte.scope))
        return printed_with(self._catalog.session, f"{head} AS MATERIALIZED ({body})")

    def _item(self, entry: Entry) -> str:
        name = quoted(entry.name)
        session = self._catalog.session
        if entry.problem:
            return ""
        if entry.call is not None:
            ((call,),) = explained(session, [([to_sql(entry.call())], self._stand_ins)])
            columns = ", ".join(quoted(column) for column in entry.columns)
            prefix = "LATERAL " if entry.lateral else ""
            return f"{prefix}{call}{entry.suffix} {name}({columns})"
        if entry.rows:
            types = list(entry.columns.values())
            ((*values,),) = explained(
                session,
                [([f"({v})::{types[at]}" for row in entry.rows for at, v in enumerate(row)], [])],
            )
            width = len(types)
            rows = [values[at : at + width] for at in range(0, len(values), width)]
            shown = ", ".join(f"({','.join(row)})" for row in rows)
            return f"(VALUES {shown}) {name}"
        assert entry.source is not None
        return entry.source(name)


def _check_scope(qual: Qual) -> None:
    """Raise for a condition of a sub-query that has a sub-query with a column from outside of both:
    whether the planner makes a join of the first one is not seen in the text."""
    node, scope = qual.node, qual.scope
    if node is None or scope is None or scope.parent is None:
        return
    queries = (part for part in own_nodes(node) if isinstance(part, (exp.Select, exp.SetOperation)))
    if any(outer_entries(query, scope, scope.parent) for query in queries):
        raise NotAnalysable("a sub-query in it uses a value of a query around it")


def used_by(entry: Entry) -> int:
    """Returns the relations that a lateral relation uses, as a bit mask."""
    if not entry.lateral or entry.depends is None:
        return 0
    return mask_of(entry.depends()) & ~(1 << entry.number)


def shown_as(entry: Entry) -> str:
    """Returns the name of a relation with its new names of columns, as SQL."""
    columns = ", ".join(quoted(column) for column in entry.renamed)
    return quoted(entry.name) + (f"({columns})" if columns else "")


def _without_sub_queries(node: exp.Expression, subs: list[exp.Expression]) -> exp.Expression:
    """Returns a condition with columns instead of its sub-queries, which are added to `subs`."""

    def visit(part: exp.Expression) -> exp.Expression:
        is_sub = isinstance(part, (exp.Exists, exp.Subquery))
        if isinstance(part, (exp.In, exp.Binary)):
            inner = part.args.get("query") or part.args.get("expression")
            if isinstance(inner, (exp.Any, exp.All)):
                inner = inner.this if isinstance(inner.this, exp.Query) else None
            elif isinstance(part, exp.Binary):
                inner = None
            if isinstance(part, exp.In) and any(v.find(exp.Query) for v in part.expressions):
                raise NotAnalysable("IN has a list with a sub-query")
            if inner is not None:
                if not isinstance(part.this, exp.Column):
                    raise NotAnalysable("an expression is compared with a sub-query's rows")
                is_sub = True
        if not is_sub:
            if isinstance(part, exp.Query):
                raise NotAnalysable("a condition has a sub-query of a special form")
            return part
        subs.append(part)
        made = exp.Column(this=identifier(f"s{len(subs) - 1}"), table=identifier(_SUBS))
        made.meta["bit"] = None
        return made

    return node.copy().transform(visit, copy=False)
