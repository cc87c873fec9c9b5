"""Turns the pushes for a query into the message that the server gets for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pilotcli.common.errors import SteeringError
from pilotcli.common.records import Query
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.hint_plan import REPORT_SETTINGS as HINT_REPORTS
from pilotcli.steering.hint_plan import (
    Hint,
    comment_of,
    in_order,
    is_numbered,
    quote_name,
    read_hints,
    split_comments,
    split_names,
    take_own_hints,
)
from pilotcli.steering.message import Message
from pilotcli.steering.methods import (
    JoinOrder,
    Method,
    ScanJoinMethodEnum,
    coarse_settings,
    hint_text,
    relations_of,
)
from pilotcli.steering.not_applied import why_no_subplan
from pilotcli.steering.plan_advice import ADVICE_SETTING, read_advice, single_items
from pilotcli.steering.plan_advice import REPORT_SETTINGS as ADVICE_REPORTS
from pilotcli.steering.planner import rows_setting
from pilotcli.steering.requests import Pushes
from pilotcli.steering.subplans import (
    NotAnalysable,
    QueryGraph,
    analyse,
    query_names,
    relation_names,
    rewrite_join_order,
)

_MESSAGES_KEPT = 1024
_ONE_BY_ONE = {"join_collapse_limit": "1", "from_collapse_limit": "1"}
"""With these settings the planner joins explicit joins in the order of the text."""
_WITH_NUMBERS = frozenset({ScanJoinMethodEnum.PARALLEL, ScanJoinMethodEnum.ROW})
"""Methods whose text holds more than names of relations."""


class MessageWriter:
    """Writes the messages of one session, and keeps the recent ones.

    `skip_missing`: note a push that the server cannot do, instead of raising `CapabilityError`.
    """

    def __init__(self, abilities: Abilities, *, skip_missing: bool) -> None:
        self._abilities = abilities
        self._skip_missing = skip_missing
        self._messages: dict[tuple[object, ...], Message] = {}

    def forget(self) -> None:
        """Drop the messages that are kept, since names may mean something else now."""
        self._messages.clear()

    def write(self, query: Query, pushes: Pushes) -> Message:
        """Returns the message for `query`.

        Raises `SteeringError`, and `CapabilityError` for what the server cannot do.
        """
        if self._abilities.schema_has_changed():
            self.forget()
        key: tuple[object, ...] = (
            query.sql,
            pushes.comment,
            *pushes.hints.items(),
            *pushes.cards.items(),
        )
        if pushes.methods or pushes.order:
            key = (*key, *pushes.methods, repr(pushes.order))
        message = self._messages.get(key)
        if message is None:
            message = self._write(query, pushes)
            if len(self._messages) >= _MESSAGES_KEPT:
                del self._messages[next(iter(self._messages))]
            self._messages[key] = message
        return message

    def graph(self, sql: str) -> QueryGraph:
        """Returns the sub-plans of a query. Raises `NotAnalysable`."""
        return analyse(sql, self._abilities.catalog)

    def _write(self, query: Query, pushes: Pushes) -> Message:
        message = Message(query.sql, settings=dict(pushes.hints))
        message.applied.extend(f"{name} = {value}" for name, value in pushes.hints.items())
        message.numbers.update(pushes.cards)
        self._add_comment(pushes.comment, message)
        self._take_advice(message)
        methods: Sequence[Method] = pushes.methods
        order = self._order_merged(pushes.order, message)
        takes_advice = bool(methods or order) and self._abilities.plan_advice
        if not takes_advice:
            self._add_methods(query, methods, order, message)
        self._add_cards(query, pushes.cards, message)
        if takes_advice:  # the server is asked with the cardinalities
            self._advise(query, methods, order, message)
        self._finish(message)
        return message

    def _add_comment(self, comment: str, message: Message) -> None:
        """Add a pushed comment: its hints to those of the message, and the rest as it is."""
        message.comment, hints = split_comments(comment)
        if hints and not self._abilities.hint_plan:
            self._miss(message, "hint comments", comment)
            return
        message.hints.extend((hint.text, hint) for hint in hints)

    def _take_advice(self, message: Message) -> None:
        """Take the advice that is pushed as a setting."""
        for name in [name for name in message.settings if name.lower() == ADVICE_SETTING]:
            value = message.settings[name]
            items = read_advice(value)
            if not self._abilities.plan_advice:
                self._miss(message, "plan advice", f"{name} = {value}")
            if items or not self._abilities.plan_advice:
                message.applied.remove(f"{name} = {message.settings.pop(name)}")
            if self._abilities.plan_advice:
                message.advice.extend((item.text, item) for item in single_items(items))

    def _order_merged(self, order: JoinOrder | None, message: Message) -> JoinOrder | None:
        """Write a join order with views or sub-queries into the query, and return None.

        The planner may merge them into the query, and then the extensions do not know them. Returns
        other orders, and those that cannot be written.
        """
        able = self._abilities
        if not order or not (able.plan_advice or able.hint_plan):
            return order
        if any(hint.setting and hint.setting[0] in _ONE_BY_ONE for _, hint in message.hints):
            return order
        if relations_of(order).isdisjoint(query_names(message.sql, able.catalog)):
            return order
        try:
            self._write_order(order, message)
        except SteeringError:
            return order
        return None

    def _write_order(self, order: JoinOrder, message: Message) -> None:
        """Write the query's joins in an order. Raises as `rewrite_join_order`."""
        message.sql = rewrite_join_order(message.sql, order, self._abilities.catalog)
        message.override(_ONE_BY_ONE, "the pushed join order")
        message.applied.append(hint_text((), order))

    def _advise(
        self,
        query: Query,
        methods: Sequence[Method],
        order: JoinOrder | None,
        message: Message,
    ) -> None:
        """Add methods and join order as advice."""
        sql = message.sql
        if self._abilities.native_hints:  # they would decide the choice
            sql, _ = take_own_hints(sql, self._server_version)
        try:
            advised = self._abilities.adviser.advise(sql, message.prefix(), methods, order)
        except NotAnalysable:  # several statements, or one without a plan
            self._add_methods(query, methods, order, message)
            return
        message.advice.extend(advised.items)
        message.ignored.extend(advised.ignored)
        self._add_methods(query, advised.others, None, message)

    def _add_methods(
        self,
        query: Query,
        methods: Sequence[Method],
        order: JoinOrder | None,
        message: Message,
    ) -> None:
        """Add methods and join order as hints, or as settings and a query whose joins are written
        in the order."""
        if not methods and not order:
            return
        if self._abilities.hint_plan:
            for hint in read_hints(hint_text(methods, order)):
                message.hints.append((hint.text, hint))
            return
        settings, unmet = coarse_settings(_methods_for(query, methods, message))
        message.override(settings, "a pushed method")
        message.applied.extend(
            f"{name} = {value} (for the whole query)" for name, value in settings.items()
        )
        for hint_without_setting in unmet:
            self._miss(message, "scan and join methods", hint_without_setting)
        if order:
            why = _unknown(relations_of(order), relation_names(query.sql))
            if not why:
                try:
                    self._write_order(order, message)
                except SteeringError as error:
                    why = f"{error.message}. {error.hint or ''}".strip()
            if why:
                message.ignored.append((hint_text((), order), why))

    def _add_cards(self, query: Query, cards: Mapping[str, float], message: Message) -> None:
        """Add cardinalities as the planner module's setting, or as hints."""
        if not cards:
            return
        if self._abilities.planner is not None:
            self._add_rows(cards, message)
            return
        graph = self.graph(query.sql)
        found = {key: graph.names_of(key) for key in cards}
        reasons = {
            key: why_no_subplan(
                query.sql, key, self._abilities.catalog, graph.planned, graph.left_out
            )
            for key, names in found.items()
            if names is None
        }
        if not self._abilities.hint_plan:
            for key in cards:
                self._miss(message, "pushed cardinalities", key)
            return
        for key, rows in cards.items():
            names = found[key]
            problem = reasons[key] if names is None else _hint_problem(graph, names)
            if names is None or problem:
                message.ignored.append((key, problem))
                continue
            words = " ".join(quote_name(name.replace("##", "#")) for name in sorted(names))
            (hint,) = read_hints(f"Rows({words} #{max(1, round(rows))})")
            message.hints.append((key, hint))

    def _finish(self, message: Message) -> None:
        """Write advice and hints into the message, with those of the query itself."""
        if message.advice:
            advice = " ".join(dict.fromkeys(item.text for _, item in message.advice))
            message.reports.update({**ADVICE_REPORTS, ADVICE_SETTING: advice})
        hints = [hint for _, hint in message.hints]
        message.give_way(hints)
        if (hints or message.steers) and "/*+" in message.sql:
            hints += self._own_hints(message)
        if message.hints:
            message.reports.update(HINT_REPORTS)
        message.sent_hints = in_order(hints)
        # Before PostgreSQL 17 the extension reads them in front of everything else only.
        message.comment = comment_of(hints) + message.comment

    def _own_hints(self, message: Message) -> list[Hint]:
        """Take the hints out of the query's text, since a message can have one comment of hints.

        Returns those that the server obeys without pilot and that no push replaces. Without
        pg_hint_plan in the session, the text stays as it is.
        """
        able = self._abilities
        if not message.hints and not able.native_hints:
            return []
        message.sql, own = take_own_hints(message.sql, self._server_version)
        pushed = {hint.subject: hint.text for _, hint in message.hints}
        for what in (*(what for what, _ in message.advice), *message.applied):
            pushed.update((hint.subject, what) for hint in read_hints(what) if hint.is_known)
        for name, value in message.settings.items():
            pushed["set", name.lower()] = f"{name} = {value}"
        kept = []
        for hint in own if able.native_hints else []:
            if hint.subject in pushed:
                why = f"the pushed {pushed[hint.subject]} replaces this hint of the query's text"
                message.ignored.append((hint.text, why))
            else:
                kept.append(hint)
        return kept

    def _add_rows(self, cards: Mapping[str, float], message: Message) -> None:
        """Add cardinalities as the planner module's setting, for each sub-plan with the key.

        A pushed join order may give query blocks other numbers than in the query's own text.
        """
        entries, blocks, keys = [], [], []
        for key, rows in cards.items():
            found = self._abilities.namer.find(message.sql, key)
            if not found:
                planned = self._abilities.namer.relations(message.sql)
                catalog = self._abilities.catalog
                message.ignored.append((key, why_no_subplan(message.sql, key, catalog, planned)))
            for subplan in found:
                entries.append((sorted(subplan.names), rows))
                blocks.append(subplan.block)
                keys.append(key)
        message.rows = rows_setting(entries, blocks)
        message.cards = tuple(keys)

    @property
    def _server_version(self) -> int:
        version: int = self._abilities.session.connection.server_version
        return version

    def _miss(self, message: Message, ability: str, what: str) -> None:
        error = self._abilities.missing(ability)
        if not self._skip_missing:
            raise error
        message.ignored.append((what, error.message))


def _methods_for(query: Query, methods: Sequence[Method], message: Message) -> list[Method]:
    """Returns the methods for relations of the query, and notes the others as ignored."""
    known = relation_names(query.sql) if methods else None
    kept = []
    for method, names in methods:
        why = "" if method in _WITH_NUMBERS else _unknown(split_names(names), known)
        if why:
            message.ignored.append((f"{method.value}({names})", why))
        else:
            kept.append((method, names))
    return kept


def _unknown(names: Iterable[str], known: frozenset[str] | None) -> str:
    """Returns that a query with the `known` relations lacks some of `names`; "" if it does not, or
    may not."""
    unknown = sorted(set(names) - known) if known is not None else ()
    return f"the query has no relation {', '.join(unknown)}" if unknown else ""


def _hint_problem(graph: QueryGraph, names: frozenset[str]) -> str:
    """Returns why pg_hint_plan cannot give a sub-plan its rows; "" if it can."""
    if len(names) == 1:
        return "pg_hint_plan sets the rows of joins only"
    block = graph.block_of(names)
    known = block.names if block is not None else ()
    bases = {numbered.rpartition("#")[0] for numbered in known if is_numbered(numbered)}
    same = sorted(name for name in names if is_numbered(name) or name in bases)
    if same:
        return f"pg_hint_plan does not tell relations with one name apart: {', '.join(same)}"
    if any(other.has(names) and other is not block for other in graph.blocks):
        return "several query blocks have relations of these names"
    return ""
