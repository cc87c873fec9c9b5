"""Turns the pushes for a query into the message that the server gets for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.common.errors import SteeringError
from pilotcli.common.records import Query
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.methods import Method, ScanJoinMethodEnum, coarse_settings, hint_text
from pilotcli.steering.planner import ROWS_SETTING, rows_setting
from pilotcli.steering.requests import Pushes
from pilotcli.steering.sql import literal, set_all
from pilotcli.steering.subplans import QueryGraph, analyse, relation_names, rewrite_join_order

_MESSAGES_KEPT = 1024
_WITH_NUMBERS = frozenset({ScanJoinMethodEnum.PARALLEL, ScanJoinMethodEnum.ROW})
"""Methods whose text holds more than names of relations."""


@dataclass(slots=True)
class Message:
    """A query as it is sent, and the state of its pushes.

    - `sql`: the query, with its joins in the pushed order;
    - `settings`: settings for this query; `comment`: the comment in front of it;
    - `rows`: the planner module's setting; `cards`: the sub-plan query of each of its entries;
    - `numbers`: the pushed rows, by sub-plan query;
    - `applied`: the pushes that are in the message; `ignored`: the others, each with a reason.
    """

    sql: str
    settings: dict[str, str] = field(default_factory=dict)
    comment: str = ""
    rows: str = ""
    cards: tuple[str, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)

    @property
    def steers(self) -> bool:
        """Whether the message is more than the query."""
        return bool(self.settings or self.comment or self.rows)

    def prefix(self, scope: str = "LOCAL ") -> str:
        """Returns the settings as statements."""
        settings = set_all(tuple(self.settings.items()), scope)
        if not self.rows:
            return settings
        return f"{settings}SET {scope}{ROWS_SETTING} = {literal(self.rows)}; "

    def override(self, settings: Mapping[str, str], by: str) -> None:
        """Add settings that precede hints: a hint with another value is not applied."""
        for name, hint in list(self.settings.items()):
            value = settings.get(name.lower(), hint)
            if hint != value:
                del self.settings[name]
                self.applied.remove(f"{name} = {hint}")
                self.ignored.append((f"{name} = {hint}", f"{by} sets it to {value}"))
        self.settings.update(settings)

    def names(self) -> list[str]:
        """Returns the names of the settings."""
        return [*self.settings, ROWS_SETTING] if self.rows else list(self.settings)


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
        key = (query.sql, pushes.comment, *pushes.hints.items(), *pushes.cards.items())
        if pushes.methods or pushes.order:
            return self._write(query, pushes)
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
        message = Message(query.sql, settings=dict(pushes.hints), comment=pushes.comment)
        message.applied.extend(f"{name} = {value}" for name, value in pushes.hints.items())
        message.numbers.update(pushes.cards)
        hints = ""
        if pushes.comment.startswith("/*+"):
            if self._abilities.hint_plan:
                message.applied.append(pushes.comment)
            else:
                self._miss(message, "hint comments", pushes.comment)
                message.comment = ""
        if pushes.methods or pushes.order:
            hints = self._add_methods(query, pushes, message)
        if pushes.cards:
            hints += self._add_cards(query, pushes.cards, message)
        if hints:
            if "*/" in hints or "/*" in hints:  # in a relation's name
                raise SteeringError(f"the hints contain the end of a comment: {hints!r}")
            # pg_hint_plan reads the first comment of hints only.
            given = message.comment[3:-2] if message.comment else ""
            message.comment = f"/*+{given} {hints}*/"
        return message

    def _add_methods(self, query: Query, pushes: Pushes, message: Message) -> str:
        """Add methods and join order as settings; returns the hints if pg_hint_plan takes them."""
        text = hint_text(pushes.methods, pushes.order)
        if self._abilities.hint_plan:
            message.applied.append(text)
            return text
        settings, unmet = coarse_settings(_methods_for(query, pushes.methods, message))
        message.override(settings, "a pushed method")
        message.applied.extend(
            f"{name} = {value} (for the whole query)" for name, value in settings.items()
        )
        for hint in unmet:
            self._miss(message, "scan and join methods", hint)
        if pushes.order:
            message.sql = rewrite_join_order(message.sql, pushes.order, self._abilities.catalog)
            one_by_one = {"join_collapse_limit": "1", "from_collapse_limit": "1"}
            message.override(one_by_one, "the pushed join order")
            message.applied.append(hint_text((), pushes.order))
        return ""

    def _add_cards(self, query: Query, cards: Mapping[str, float], message: Message) -> str:
        """Add cardinalities as the planner module's setting, or return them as hints."""
        if self._abilities.planner is not None:
            self._add_rows(cards, message)
            return ""
        graph = self.graph(query.sql)
        entries = [(_names_of(graph, key), rows) for key, rows in cards.items()]
        if not self._abilities.hint_plan:
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

    def _add_rows(self, cards: Mapping[str, float], message: Message) -> None:
        """Add cardinalities as the planner module's setting, for each sub-plan with the key.

        A pushed join order may give query blocks other numbers than in the query's own text.
        """
        entries, blocks, keys = [], [], []
        for key, rows in cards.items():
            found = self._abilities.namer.find(message.sql, key)
            if not found:
                raise _not_a_subplan(key)
            for subplan in found:
                entries.append((sorted(subplan.names), rows))
                blocks.append(subplan.block)
                keys.append(key)
        message.rows = rows_setting(entries, blocks)
        message.cards = tuple(keys)

    def _miss(self, message: Message, ability: str, what: str) -> None:
        error = self._abilities.missing(ability)
        if not self._skip_missing:
            raise error
        message.ignored.append((what, error.message))


def _methods_for(query: Query, methods: Sequence[Method], message: Message) -> list[Method]:
    """Returns the methods for relations of the query, and notes the others as ignored."""
    known = relation_names(query.sql) if methods else None
    if known is None:
        return list(methods)
    kept = []
    for method, names in methods:
        unknown = [name for name in names.split() if name.strip('"') not in known]
        if unknown and method not in _WITH_NUMBERS:
            why = f"the query has no relation {', '.join(unknown)}"
            message.ignored.append((f"{method.value}({names})", why))
        else:
            kept.append((method, names))
    return kept


def _names_of(graph: QueryGraph, key: str) -> frozenset[str]:
    names = graph.names_of(key)
    if names is None:
        raise _not_a_subplan(key)
    return names


def _not_a_subplan(key: str) -> SteeringError:
    return SteeringError(
        f"this is not a sub-plan query of the query: {key}",
        hint="`pull_subquery_card` gives the sub-plan queries that a query has.",
    )
