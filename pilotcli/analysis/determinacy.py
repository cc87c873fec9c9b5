"""What a query's text determines of its rows: all of them, some columns, their number, or nothing.

Two executions may differ in the rest without either being wrong. LIMIT fixes the number of rows,
and ORDER BY the sort values, up to ties; a window or an aggregate that depends on the order of its
rows has an open value where that order is partial. The names of columns mean nothing. Views, and
functions in SQL, are looked into; other functions are judged by the volatility they declare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from pilotcli.analysis.fixed import ALL, COUNT, NOTHING, Fixed
from pilotcli.analysis.open_functions import (
    CLOCKS,
    ORDERED_AGGREGATES,
    ORDERED_WINDOWS,
    SUSPECTS,
    VOLATILE,
)
from pilotcli.analysis.query_parts import (
    aggregates,
    is_moment,
    meant_by,
    name_of,
    order_of,
    output_of,
    places_of,
    reads,
    same_value,
    select_of,
    shows_all,
    sources_of,
    unwrapped,
)
from pilotcli.common.sql_commands import leading_keyword
from pilotcli.databases.protocols import DatabaseObjects
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import exp, parse

_WORDS = re.compile(r"[^\W\d][\w$]*")
_PREPARED = re.compile(r"\s*PREPARE\s+(\S+?)\s*(?:\([^)]*\))?\s+AS\s+(.*)", re.I | re.S)
_EXECUTED = re.compile(r"\s*EXECUTE\s+([^\s(;]+)", re.I)
_SIGNS = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_Scope = Mapping[str, Fixed]


class Determinacy:
    """Says what statements determine, in a database that has `objects` of its own."""

    def __init__(self, objects: DatabaseObjects | None = None) -> None:
        self.objects = objects or DatabaseObjects()
        own = " ".join([*self.objects.views, *self.objects.functions])
        self._suspects = SUSPECTS | {word.lower() for word in _WORDS.findall(own)}
        self._views: dict[str, Fixed] = {}
        self._functions: dict[str, bool] = {}
        self._prepared: dict[str, str] = {}

    def of(self, sql: str) -> Fixed:
        """Returns what `sql` determines; remembers what it prepares."""
        word = leading_keyword(sql)
        if word == "PREPARE" and (prepared := _PREPARED.match(sql)):
            self._prepared[prepared[1].lower()] = prepared[2]
        if word == "EXECUTE":
            executed = _EXECUTED.match(sql)
            body = self._prepared.get(executed[1].lower()) if executed else None
            return COUNT if body is None else self.of(body)
        if word in ("EXPLAIN", "CALL"):
            return NOTHING
        if word in ("FETCH", "MOVE"):
            return COUNT
        words = {each.lower() for each in _WORDS.findall(sql)}
        if not self._called_without_name(sql, words):
            return NOTHING
        # Most queries have no such word, and need no parser.
        if self._suspects.isdisjoint(words):
            return ALL
        try:
            return self._statement(parse(sql))
        except (NotAnalysable, RecursionError):
            return NOTHING

    def _called_without_name(self, sql: str, words: Set[str]) -> bool:
        """Returns whether the functions behind operators and casts of the user's, as far as `sql`
        has their signs and types, give one value for the same arguments."""
        operators, casts = self.objects.operators, self.objects.casts
        signs = operators.keys() & _SIGNS.findall(sql) if operators else ()
        called = [name for sign in signs for name in operators[sign]]
        called += [name for word in casts.keys() & words for name in casts[word]]
        return all(map(self._own_function, called))

    def _statement(self, tree: exp.Expr) -> Fixed:
        if isinstance(tree, exp.Query | exp.Values):
            return self._query(tree, {})
        if not self._expression(tree, {}):
            return NOTHING
        # RETURNING shows what sequences gave.
        return COUNT if isinstance(tree, exp.Insert) else ALL

    def _query(self, tree: exp.Expr, scope: _Scope) -> Fixed:
        scope = self._with(tree, scope)
        if isinstance(tree, exp.Select):
            base = self._select(tree, scope)
        elif isinstance(tree, exp.SetOperation):
            base = self._both(tree, scope)
        elif isinstance(tree, exp.Subquery) and isinstance(tree.this, exp.Query | exp.Values):
            base = self._query(tree.this, scope)
        else:
            parts = (part for part in tree.iter_expressions() if part is not tree.args.get("limit"))
            base = ALL if all(self._expression(part, scope) for part in parts) else NOTHING
        return self._cut(tree, base, scope)

    def _with(self, tree: exp.Expr, scope: _Scope) -> _Scope:
        clause = tree.args.get("with_")
        if clause is None:
            return scope
        for cte in clause.expressions:
            # A recursive reference to itself adds nothing that is open.
            inner = {**scope, cte.alias: ALL}
            body = cte.this
            queries = isinstance(body, exp.Query | exp.Values)
            fixed = self._query(body, inner) if queries else self._changed(body, inner)
            if clause.args.get("recursive") and not fixed.rows and reads(body, cte.alias):
                fixed = NOTHING  # each step begins with the rows of the last
            scope = {**scope, cte.alias: fixed}
        return scope

    def _changed(self, tree: exp.Expr, scope: _Scope) -> Fixed:
        return ALL if self._expression(tree, scope) else NOTHING

    def _both(self, tree: exp.SetOperation, scope: _Scope) -> Fixed:
        one, other = (self._query(tree.args[side], scope) for side in ("this", "expression"))
        if one.rows and other.rows:
            return ALL
        whole = isinstance(tree, exp.Union) and not tree.args.get("distinct")
        if not (whole and one.count and other.count):
            return NOTHING
        if any(part.open is None or part.cut for part in (one, other)):
            return COUNT
        return Fixed(rows=False, open=(*(one.open or ()), *(other.open or ())))

    def _select(self, tree: exp.Select, scope: _Scope) -> Fixed:
        sources = [self._source(source, scope) for source in sources_of(tree)]
        conditions = [tree.args.get(key) for key in ("where", "group", "having", "qualify")]
        conditions += [join.args.get("on") for join in tree.args.get("joins") or ()]
        distinct, items = tree.args.get("distinct"), tree.expressions
        if any(lock.args.get("wait") is False for lock in tree.args.get("locks") or ()):
            return NOTHING  # SKIP LOCKED
        kept = all(self._expression(part, scope) for part in conditions if part is not None)
        one_row = conditions[1] is None and any(map(aggregates, items))
        if not (kept and all(source.rows for source in sources)):
            alone = len(sources) == 1 and sources[0].count
            alone = alone and not any(conditions) and not distinct
            of_count = one_row and alone and not any(item.find(exp.Column) for item in items)
            if not of_count:
                # One row where all are aggregated; the source's number where nothing is chosen.
                return COUNT if (one_row and conditions[2] is None) or alone else NOTHING
        places = places_of(items)
        opened = [
            place
            for place, item in zip(places, items, strict=True)
            if not self._expression(item, scope)
        ]
        if opened and (None in opened or distinct):
            return NOTHING if distinct else COUNT
        if distinct is not None and distinct.args.get("on") is not None:
            return self._first_of_each(tree, distinct.args["on"], scope)
        return Fixed(rows=not opened, open=tuple(place for place in opened if place is not None))

    def _first_of_each(self, tree: exp.Select, on: exp.Expr, scope: _Scope) -> Fixed:
        """Returns what DISTINCT ON determines: its columns, and those by which it chooses."""
        chosen = on.expressions or [on]
        keys = [*(unwrapped(each) for each in chosen), *self._order(tree, scope)]
        if self._total(keys, tree):
            return ALL
        places = [output_of(key, tree) for key in keys]
        shown = tuple(place for place in places if place is not None)
        if shows_all(shown, tree):
            return ALL
        return Fixed(rows=False, open=None, keys=shown, cut=True)

    def _cut(self, tree: exp.Expr, base: Fixed, scope: _Scope) -> Fixed:
        """Returns what is left of `base` after LIMIT and OFFSET."""
        limit, offset = tree.args.get("limit"), tree.args.get("offset")
        if not limit and not offset:
            return base
        bounds = [limit.args.get("expression") or limit.args.get("count")] if limit else []
        bounds += [offset.args.get("expression")] if offset else []
        if not base.count or not all(self._expression(b, scope) for b in bounds if b is not None):
            return NOTHING
        number = bounds[0] if limit else None
        if limit and isinstance(number, exp.Null | exp.Var) and not offset:
            return base  # LIMIT ALL
        options = limit.args.get("limit_options") if limit else None
        if base.cut or base.open is None:
            return COUNT
        order = self._order(tree, scope)
        total = self._total(order, tree)
        whole = len(order) == len(order_of(tree))
        ties = options is not None and bool(options.args.get("with_ties"))
        if ties and not whole:
            return NOTHING
        if total or (ties and not offset):
            return base
        keys = [output_of(key, tree) for key in order]
        keys = [None if place in base.open else place for place in keys]
        hidden = keys.index(None) if None in keys else len(keys)
        shown = tuple(place for place in keys if place is not None)
        if base.rows and shows_all(shown, tree):
            return base
        exact = isinstance(number, exp.Literal) and number.this.isdecimal()
        return replace(
            base,
            rows=False,
            keys=shown,
            ties=shown[:hidden],
            cut=True,
            limit=int(number.this) if exact and number is not None else None,
            offset=offset is not None,
        )

    def _order(self, tree: exp.Expr, scope: _Scope) -> list[exp.Expr]:
        """Returns the sort keys up to the first whose value is open."""
        found: list[exp.Expr] = []
        for key in order_of(tree):
            meant = meant_by(key, tree)
            if not self._expression(meant, scope):
                break
            found.append(meant)
        return found

    def _total(self, keys: Sequence[exp.Expr], tree: exp.Expr) -> bool:
        """Returns whether the sort keys leave no two rows in either order."""
        if not isinstance(tree, exp.Select):
            return False
        group = tree.args.get("group")
        if group is not None:
            each = [meant_by(unwrapped(part), tree) for part in group.expressions]
            return bool(each) and all(any(same_value(part, key) for key in keys) for part in each)
        return any(map(aggregates, tree.expressions)) or self._unique(keys, tree)

    def _unique(self, keys: Sequence[exp.Expr], tree: exp.Select) -> bool:
        """Returns whether `keys` name each row of FROM."""
        columns = [key for key in keys if isinstance(key, exp.Column)]
        sources = sources_of(tree)
        for source in sources:
            if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
                return False
            own = {
                column.name
                for column in columns
                if column.table == source.alias_or_name or (not column.table and len(sources) == 1)
            }
            if not any(unique <= own for unique in self.objects.unique.get(source.name, ())):
                return False
        return True

    def _source(self, source: exp.Expr, scope: _Scope) -> Fixed:
        """Returns what is fixed of a relation in FROM."""
        if isinstance(source, exp.Subquery | exp.Lateral) and isinstance(
            source.this, exp.Query | exp.Values
        ):
            return self._query(source.this, scope)
        if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
            return ALL if self._expression(source, scope) else NOTHING
        sample = source.args.get("sample")
        if sample is not None and sample.args.get("seed") is None:
            return NOTHING
        name = source.name
        if name in scope and not source.db:
            return scope[name]
        if name.startswith(("pg_stat", "pg_locks", "pg_settings", "pg_cursors")):
            return NOTHING
        return self._view(name)

    def _view(self, name: str) -> Fixed:
        text = self.objects.views.get(name)
        if text is None:
            return ALL
        if name not in self._views:
            self._views[name] = ALL  # a view that reads itself ends here
            self._views[name] = self.of(text)
        return self._views[name]

    def _expression(self, node: exp.Expr, scope: _Scope) -> bool:
        """Returns whether a part of a statement has one value for the same rows."""
        if isinstance(node, exp.Exists) and isinstance(node.this, exp.Query):
            return self._query(node.this, scope).count
        if isinstance(node, exp.Query | exp.Values):
            return self._query(node, scope).rows
        if isinstance(node, exp.Table):
            if not self._table(node, scope):
                return False
        elif isinstance(node, exp.Window):
            return self._window(node, scope)
        elif isinstance(node, exp.Anonymous):
            if not self._function(node, scope):
                return False
        elif isinstance(node, exp.Column):
            if node.table and node.name in self.objects.row_functions:
                return self._own_function(node.name)
            return node.name not in ("ctid", "xmin", "xmax", "cmin", "cmax")
        elif isinstance(node, exp.Dot) and node.name in self.objects.row_functions:
            return self._own_function(node.name) and self._expression(node.this, scope)
        elif type(node).__name__ in CLOCKS or is_moment(node):
            return False
        return all(self._expression(part, scope) for part in node.iter_expressions())

    def _table(self, node: exp.Table, scope: _Scope) -> bool:
        if isinstance(node.this, exp.Identifier):
            return self._source(node, scope).rows
        return node.args.get("sample") is None

    def _function(self, node: exp.Anonymous, scope: _Scope) -> bool:
        name, arguments = name_of(node), node.expressions
        if name == "array" and len(arguments) == 1 and isinstance(arguments[0], exp.Query):
            return self._array(arguments[0], scope)
        if name in self.objects.functions:
            return self._own_function(name)
        if name in VOLATILE or (name == "age" and len(arguments) == 1):
            return False
        if name in ORDERED_AGGREGATES:
            return self._ordered_arguments(arguments, select_of(node))
        return True

    def _own_function(self, name: str) -> bool:
        if name not in self._functions:
            self._functions[name] = True  # a function that calls itself ends here
            self._functions[name] = all(map(self._body, self.objects.functions[name]))
        return self._functions[name]

    def _body(self, function: tuple[str, str, str, str]) -> bool:
        """Returns whether a function of the user's gives one value for the same arguments."""
        kind, volatility, language, text = function
        if kind != "f":
            return False  # an aggregate or a window, which may depend on the order of rows
        if language == "sql":
            return self.of(text).rows
        clean = SUSPECTS.isdisjoint(each.lower() for each in _WORDS.findall(text))
        return volatility != "v" and (clean or language != "plpgsql")

    def _ordered_arguments(self, arguments: Sequence[exp.Expr], tree: exp.Select | None) -> bool:
        """Returns whether an aggregate's own ORDER BY, or DISTINCT, fixes the order of what it
        takes up: only values that are equal may change places."""
        order = next((part for part in arguments if isinstance(part, exp.Order)), None)
        if order is None:
            return any(isinstance(part, exp.Distinct) for part in arguments)
        keys = [unwrapped(key) for key in order.expressions]
        taken = [order.this, *(part for part in arguments if part is not order)]
        if any(isinstance(part, exp.Distinct) for part in taken):
            return True
        shown = [part for part in taken if not isinstance(part, exp.Literal)]
        if all(any(same_value(part, key) for key in keys) for part in shown):
            return True
        return tree is not None and not tree.args.get("group") and self._unique(keys, tree)

    def _array(self, query: exp.Query, scope: _Scope) -> bool:
        if not self._query(query, scope).rows:
            return False
        keys = self._order(query, scope)
        shown = tuple(place for key in keys if (place := output_of(key, query)) is not None)
        return shows_all(shown, query) or self._total(keys, query)

    def _window(self, node: exp.Window, scope: _Scope) -> bool:
        parts = [part for part in node.iter_expressions() if part is not node.this]
        tree = select_of(node)
        named = node.args.get("alias")
        defined = node
        if named is not None and tree is not None:
            windows = tree.args.get("windows") or ()
            defined = next((each for each in windows if each.name == named.name), node)
        function = node.this.this if isinstance(node.this, exp.Filter) else node.this
        name = name_of(function) if isinstance(function, exp.Anonymous) else ""
        own = name in self.objects.functions
        ordered = own or name in ORDERED_WINDOWS or name in ORDERED_AGGREGATES
        spec = node.args.get("spec") or defined.args.get("spec")
        by_rows = spec is not None and str(spec.args.get("kind")).upper() == "ROWS"
        edges = (spec.args.get("start"), spec.args.get("end")) if spec is not None else ()
        moves = by_rows and edges != ("UNBOUNDED", "UNBOUNDED")
        order = node.args.get("order") or defined.args.get("order")
        keys = [unwrapped(key) for key in order.expressions] if order is not None else []
        keys += node.args.get("partition_by") or defined.args.get("partition_by") or []
        total = tree is not None and self._total_in(keys, tree)
        parts += [part for part in defined.iter_expressions() if part is not node.this]
        fixed = all(self._expression(part, scope) for part in parts)
        if name in ORDERED_AGGREGATES or own:
            inside = all(self._expression(part, scope) for part in function.iter_expressions())
        else:
            inside = self._expression(node.this, scope)
        counts = name in ("count", "rank", "dense_rank") and not moves
        if own and any(kind == "f" for kind, *_ in self.objects.functions[name]):
            inside = inside and self._own_function(name)
        return fixed and inside and (total or counts or not (ordered or moves))

    def _total_in(self, keys: Sequence[exp.Expr], tree: exp.Select) -> bool:
        return self._total(keys, tree) if tree.args.get("group") else self._unique(keys, tree)
