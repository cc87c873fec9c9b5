"""The language of pg_plan_advice, PostgreSQL 19's own hints, and what the server says about advice.

Advice is a list of items such as `JOIN_ORDER(u p c) HASH_JOIN(p)`. The join method of an item is
that of the join with exactly these relations on its inner side. `EXPLAIN (PLAN_ADVICE)` gives the
advice that leads to the plan, and so the names of all relations as the server writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

ADVICE_SETTING = "pg_plan_advice.advice"
REPORT_SETTINGS = {"pg_plan_advice.feedback_warnings": "on", "client_min_messages": "warning"}
"""With these, the server warns the client of advice that a plan does not follow."""

METHOD_TAGS = frozenset(
    {
        *("MERGE_JOIN_MATERIALIZE", "MERGE_JOIN_PLAIN", "NESTED_LOOP_MATERIALIZE"),
        *("NESTED_LOOP_MEMOIZE", "NESTED_LOOP_PLAIN", "HASH_JOIN"),
    }
)
INDEX_TAGS = frozenset({"INDEX_SCAN", "INDEX_ONLY_SCAN"})
_SCAN_TAGS = frozenset({*INDEX_TAGS, "SEQ_SCAN", "TID_SCAN", "BITMAP_HEAP_SCAN"})
_OTHER_TAGS = frozenset(
    {
        *("JOIN_ORDER", "DO_NOT_SCAN", "FOREIGN_JOIN", "GATHER", "GATHER_MERGE", "NO_GATHER"),
        *("PARTITIONWISE", "SEMIJOIN_UNIQUE", "SEMIJOIN_NON_UNIQUE"),
    }
)
TAGS = METHOD_TAGS | _SCAN_TAGS | _OTHER_TAGS
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
_TOKEN = re.compile(r'[(){}]|(?:"(?:[^"]|"")*"|[^\s(){}"])+')
_PART = r'(?:"(?:[^"]|"")+"|[^"#/@.\s]+)'
_TARGET = re.compile(
    rf"(?P<alias>{_PART})(?:\#(?P<number>[0-9]+))?(?P<part>/{_PART}(?:\.{_PART})?)?"
    rf"(?:@(?P<plan>{_PART}))?\Z"
)
_WARNING = "supplied plan advice was not enforced"
_FEEDBACK = re.compile(r'^(?:\S+:\s+)?advice (.+) feedback is "([^"]+)"$', re.MULTILINE)
_CONTEXT = "\nCONTEXT:  "
_MEANINGS = {
    "not matched": "the query has no such relation",
    "partially matched": "its relations are not planned together",
    "inapplicable": "the server cannot do it for this relation",
    "failed": "the planner has no such plan",
}


class Item(NamedTuple):
    """One piece of advice: its tag, and its targets. A list of targets is a tuple whose first
    element is the bracket, `(` or `{`."""

    tag: str
    targets: tuple[Any, ...]

    @property
    def text(self) -> str:
        """The item as it is sent."""
        return f"{self.tag}({' '.join(map(_text, self.targets))})"


def _text(target: Any) -> str:
    if isinstance(target, str):
        return target
    bracket, *targets = target
    return f"{bracket}{' '.join(map(_text, targets))}{')' if bracket == '(' else '}'}"


def quote(name: str) -> str:
    """Returns a name in the spelling that all texts here have: in quotes where it needs them."""
    if _PLAIN_NAME.match(name) and name.upper() not in TAGS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()


def _canonical(token: str) -> str:
    """Returns a target or an index in one spelling."""
    found = _TARGET.match(token)
    if found is None:  # an index with its schema
        return ".".join(quote(_unquoted(part)) for part in re.findall(_PART, token))
    number = found["number"]
    text = quote(_unquoted(found["alias"])) + (f"#{number}" if number not in (None, "1") else "")
    if found["part"]:
        text += "/" + ".".join(quote(_unquoted(p)) for p in re.findall(_PART, found["part"][1:]))
    return text + (f"@{quote(_unquoted(found['plan']))}" if found["plan"] else "")


def read_advice(text: str) -> list[Item]:
    """Returns the items of an advice; nothing for a text that is no advice."""
    items: list[Item] = []
    lists: list[list[Any]] = []
    tag = ""
    for token in _TOKEN.findall(text):
        if token in ("(", "{"):
            lists.append([token])
        elif token in (")", "}"):
            if not lists:
                return []
            closed = lists.pop()
            if lists:
                lists[-1].append(tuple(closed))
            else:
                items.append(Item(tag, tuple(closed[1:])))
        elif lists:
            lists[-1].append(_canonical(token))
        else:
            tag = token.upper()
    return [] if lists else items


def single_items(items: Iterable[Item]) -> Iterator[Item]:
    """Yields each behaviour that `items` ask for, as the server's feedback has them."""
    for item in items:
        if item.tag == "JOIN_ORDER":
            yield item
            continue
        step = 2 if item.tag in INDEX_TAGS else 1
        for at in range(0, len(item.targets), step):
            yield Item(item.tag, item.targets[at : at + step])


def alias_of(target: str) -> str:
    """Returns the alias in a target."""
    found = _TARGET.match(target)
    return _unquoted(found["alias"]) if found else target


def table_of(target: str) -> str:
    """Returns the table of a target that is a partition of it; others as they are."""
    found = _TARGET.match(target)
    if found is None or not found["part"]:
        return target
    return target.replace(found["part"], "", 1)


def block_of(target: str) -> str:
    """Returns the name of the sub-query that a target is in; "" for the outermost query."""
    found = _TARGET.match(target)
    return found["plan"] or "" if found else ""


def leaves(targets: Iterable[Any]) -> frozenset[str]:
    """Returns all targets in a list of targets and lists."""
    found: set[str] = set()
    for target in targets:
        if isinstance(target, str):
            found.add(target)
        else:
            found |= leaves(target[1:])
    return frozenset(found)


@dataclass(frozen=True)
class PlanShape:
    """What the advice for a plan says about the plan."""

    items: Sequence[Item]

    @cached_property
    def _all_targets(self) -> frozenset[str]:
        found: set[str] = set()
        for item in self.items:
            step = 2 if item.tag in INDEX_TAGS else 1
            found |= leaves(item.targets[::step])
        return frozenset(found)

    @cached_property
    def targets(self) -> frozenset[str]:
        """All relations of the plan; without the partitions of a table."""
        return frozenset(table_of(target) for target in self._all_targets)

    def scanned(self, target: str) -> list[str]:
        """Returns what is scanned for a relation: its partitions, or itself."""
        parts = (part for part in self._all_targets if part != target and table_of(part) == target)
        return sorted(parts) or [target]

    def named(self, name: str) -> list[str]:
        """Returns the relations that a driver's `name` may mean: those with this alias in the
        outermost query that has any, or the one whose full name this is."""
        if ("#" in name or "@" in name) and _canonical(name) in self.targets:
            return [_canonical(name)]
        found = sorted(target for target in self.targets if alias_of(target) == name)
        return [target for target in found if not block_of(target)] or found

    @cached_property
    def joins(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """The relations of the outer and of the inner side of each join, lower joins first."""
        found: list[tuple[frozenset[str], frozenset[str]]] = []
        for item in self.items:
            if item.tag == "JOIN_ORDER":
                _add_joins(item.targets, found)
        return found

    @cached_property
    def methods(self) -> Mapping[frozenset[str], str]:
        """The tag of each join's method, by the relations of its inner side."""
        return {
            leaves(item.targets): item.tag
            for item in single_items(self.items)
            if item.tag in METHOD_TAGS
        }

    @cached_property
    def scans(self) -> Mapping[str, Item]:
        """How each relation is scanned."""
        return {
            item.targets[0]: item for item in single_items(self.items) if item.tag in _SCAN_TAGS
        }

    def meeting(self, targets: frozenset[str]) -> tuple[frozenset[str], frozenset[str]] | None:
        """Returns the sides of the lowest join that has all of `targets`."""
        return next((sides for sides in self.joins if targets <= sides[0] | sides[1]), None)


def _add_joins(
    targets: Sequence[Any], found: list[tuple[frozenset[str], frozenset[str]]]
) -> frozenset[str]:
    joined: frozenset[str] = frozenset()
    for target in targets:
        if isinstance(target, str):
            side = frozenset({target})
        elif target[0] == "(":
            side = _add_joins(target[1:], found)
        else:
            side = leaves(target[1:])
        if joined:
            found.append((joined, side))
        joined |= side
    return joined


def item_for(tag: str, targets: frozenset[str]) -> Item:
    """Returns the item with a tag for one relation, or for several as one list."""
    names = tuple(sorted(targets))
    return Item(tag, names if len(names) == 1 else (("(", *names),))


def order_item(order: Any) -> Item:
    """Returns the item for a join order: nested lists, the outer side of each join first."""
    return Item("JOIN_ORDER", _flat_order(order))


def _flat_order(order: Sequence[Any]) -> tuple[Any, ...]:
    first, *others = order
    start = (first,) if isinstance(first, str) else _flat_order(first)
    return (
        *start,
        *(other if isinstance(other, str) else ("(", *_flat_order(other)) for other in others),
    )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the server said of items that a plan does not follow, by their text."""

    said: Mapping[str, str]

    def reason(self, item: Item) -> str | None:
        """Returns why the plan does not follow an item; None if it does."""
        reasons = [self._reason(single) for single in single_items([item])]
        return next((reason for reason in reasons if reason is not None), None)

    def _reason(self, item: Item) -> str | None:
        said = self.said.get(item.text, "matched")
        flags = said.split(", ")
        if "matched" in flags and "failed" not in flags and "inapplicable" not in flags:
            return None
        why = next((text for flag, text in _MEANINGS.items() if flag in flags), "")
        if "conflicting" in flags:
            why = "it conflicts with other advice"
        return f"{why} (pg_plan_advice: {said})"


def read_feedback(notices: Iterable[str]) -> Feedback:
    """Returns what the server's messages say of the advice for a statement.

    Queries inside functions are planned with the same advice; warnings about them have a context.
    """
    for notice in notices:
        if _WARNING in notice[:120] and _CONTEXT not in notice:
            found = _FEEDBACK.findall(notice)
            return Feedback({item.text: said for text, said in found for item in read_advice(text)})
    return Feedback({})
