"""What is pushed and pulled for one query, and its result."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pilotcli.common.errors import PilotError, SteeringError
from pilotcli.common.records import LoggedValue, SteeringReport
from pilotcli.databases.knobs.values import setting_text
from pilotcli.databases.protocols import Rows
from pilotcli.steering.methods import JoinOrder, Method, methods_of, order_of


@dataclass(slots=True)
class Pushes:
    """What is pushed for one query.

    - `hints`: planner settings that hold for this query alone, name to value;
    - `cards`: sub-plan query (SQL) to the rows that the planner should assume;
    - `comment`: a comment in front of the query, usually pg_hint_plan's hints;
    - `methods`, `order`: scan and join methods, and the order of joins.

    The `add_...` methods take what a handler returned, and raise `SteeringError` for a wrong form.
    A later value replaces an earlier one.
    """

    hints: dict[str, str] = field(default_factory=dict)
    cards: dict[str, float] = field(default_factory=dict)
    comment: str = ""
    methods: list[Method] = field(default_factory=list)
    order: JoinOrder | None = None

    def __bool__(self) -> bool:
        return bool(self.hints or self.cards or self.comment or self.methods or self.order)

    def add_hints(self, given: Any) -> None:
        """Take `{setting: value}`; booleans become on and off."""
        for name, value in _mapping(given, "hints", "{setting: value}").items():
            text = setting_text(value)
            if text is None:
                raise SteeringError(f"the hint {name} must be one value, not {value!r}")
            if not name or "\0" in name or "\0" in text:
                raise SteeringError(f"a hint is a setting and its value, not {name!r}: {text!r}")
            if name not in self.hints:  # the server ignores the case of names
                for same in [known for known in self.hints if known.lower() == name.lower()]:
                    del self.hints[same]
            self.hints[name] = text

    def add_cards(self, given: Any) -> None:
        """Take `{sub-plan query: rows}`; rows are finite and not negative."""
        for key, value in _mapping(given, "cardinalities", "{sub-plan query: rows}").items():
            self.cards[key] = _rows(key, value)

    def add_comment(self, given: Any) -> None:
        """Take the text of a comment, with or without the marks `/*+ */`."""
        if given is None:
            return
        if not isinstance(given, str):
            raise SteeringError(f"a comment is a text, not {given!r}")
        text = given.strip()
        if text.startswith("/*") and text.endswith("*/"):
            text = text[2:-2]
        elif text:
            text = f"+ {text} "
        if "*/" in text or "/*" in text or "\0" in text:
            raise SteeringError(f"the comment contains the end of a comment: {given!r}")
        self.comment += f"/*{text}*/" if text else ""

    def add_methods(self, given: Any) -> None:
        """Take `(ScanJoinMethodEnum, names)`, or a list of such pairs."""
        for method, names in methods_of(given):
            if method.value == "Leading":
                self.add_order(names)
            else:
                self.methods.append((method, names))

    def add_order(self, given: Any) -> None:
        """Take `["p", "u", "c"]`, `[["p", "u"], ["c", "v"]]` or the text of a Leading hint."""
        if given is not None:
            self.order = order_of(given)


def _mapping(given: Any, what: str, form: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SteeringError(f"{what} are a mapping {form}, not {type(given).__name__}")
    for key in given:
        if not isinstance(key, str):
            raise SteeringError(f"{what} are a mapping {form}: the key {key!r} is not a text")
    return given


def _rows(key: str, value: Any) -> float:
    try:
        rows = float(value) if not isinstance(value, (str, bytes, bool)) else math.nan
    except (TypeError, ValueError, OverflowError):
        rows = math.nan
    if not (math.isfinite(rows) and rows >= 0):
        raise SteeringError(f"a cardinality is a number of rows from 0 on, not {value!r}: {key}")
    return rows


@dataclass(frozen=True, slots=True)
class Pulls:
    """What is pulled for each query besides its rows.

    - `execution_time`: planning and execution as the server measured them;
    - `physical_plan`: the executed plan; `actual_rows`: with actual rows and loops in it;
    - `node_times`: where actual rows are pulled, also the time of each node, and with the planner
      module its buffers. Measuring them makes a query slower: leave them out where its time counts;
    - `estimated_cost`; `subquery_cards`: the planner's rows for every sub-plan;
    - `buffercache`: the cached blocks of each relation.
    """

    execution_time: bool = False
    physical_plan: bool = False
    actual_rows: bool = False
    node_times: bool = True
    estimated_cost: bool = False
    subquery_cards: bool = False
    buffercache: bool = False

    @property
    def plan(self) -> bool:
        """Whether a plan is needed."""
        return self.physical_plan or self.actual_rows or self.estimated_cost

    def union(self, other: Pulls) -> Pulls:
        """Returns what either asks for."""
        names = [each.name for each in fields(self)]
        return Pulls(**{name: getattr(self, name) or getattr(other, name) for name in names})

    def __bool__(self) -> bool:
        return self.plan or self.execution_time or self.subquery_cards or self.buffercache


@dataclass(slots=True)
class Steered:
    """The result of one query: its rows, its error, and what was pulled. Times are in seconds.

    - `elapsed_s`: from sending the message to its last row, as the client measured it;
    - `steering_s`: to make the message from the pushes, and for settings in messages of their own;
      `collection_s`: for what is pulled, the naming of sub-plans on the server included;
    - `planning_s`, `execution_s`: as the server measured them; None if it did not report them;
    - `plan_text`: the plan as JSON, an object with the key `Plan`;
    - `cards`: the planner's rows, by sub-plan query; `left_out`: the relations of sub-plans that
      have no query, each with the reason;
    - `buffercache`: cached blocks, by relation;
    - `report`: the pushes that were applied and those that were not;
    - `logged`: what the handlers have logged for the query, None for nothing;
    - `notes`: what could not be pulled, and why, for the user.
    """

    rows: Rows = field(default_factory=Rows)
    error: PilotError | None = None
    elapsed_s: float = 0.0
    collection_s: float = 0.0
    steering_s: float = 0.0
    plan_text: str | None = None
    planning_s: float | None = None
    execution_s: float | None = None
    cards: dict[str, float] | None = None
    left_out: Sequence[tuple[frozenset[str], str]] = ()
    buffercache: dict[str, int] | None = None
    report: SteeringReport | None = None
    logged: Mapping[str, LoggedValue] | None = None
    notes: Sequence[str] = ()

    @property
    def plan(self) -> dict[str, Any] | None:
        """The plan as a dict, parsed on each access."""
        if self.plan_text is None:
            return None
        plan: dict[str, Any] = json.loads(self.plan_text)
        return plan

    @property
    def estimated_cost(self) -> float | None:
        """The planner's total cost of the plan."""
        plan = self.plan
        return None if plan is None else float(plan["Plan"]["Total Cost"])
