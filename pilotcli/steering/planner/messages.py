"""Reads the messages of the planner module."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pilotcli.steering.planner.settings import NONCE

_NAME = "pilot_planner "
HEAD = f"{_NAME}2 {NONCE} {{"
_PLAN = '"plan":'
_PLAN_BEFORE = 120
_BLOCKS = '"blocks":'
_SETS = ',"sets":{'
_SHORT = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """The module's report about one statement; a part that was not requested is empty or None.

    - `applied`: numbers of the pushed entries, from 0, that took effect;
    - `ignored`: number and reason of the others;
    - `blocks_text`: the description of the statement's query blocks, as JSON;
    - `sets`: by number of a block, its sets of relations as bit masks, each with the rows that the
      planner expects; `naming_ms`: the time that the description took, not in `planning_ms`;
    - `planning_ms`, `execution_ms`: as the server measured them; `planning_ms` is None for a
      plan that was made earlier;
    - `plan_text`: the plan that ran, as JSON, an object with the key `Plan`, as in
      `EXPLAIN (FORMAT JSON)`;
    - `indexes`: the what-if indexes that the planner saw, each with its number and its size in
      bytes; of a partitioned table, one of each partition.
    """

    applied: tuple[int, ...] = ()
    ignored: tuple[tuple[int, str], ...] = ()
    blocks_text: str | None = None
    sets: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    naming_ms: float | None = None
    planning_ms: float | None = None
    execution_ms: float | None = None
    plan_text: str | None = None
    indexes: tuple[tuple[int, int], ...] = ()
    passed_over: int = 0
    """Messages that look like reports and are none: a function of the workload has raised them."""

    @property
    def plan(self) -> dict[str, Any] | None:
        """The plan as a dict, parsed on each access."""
        if self.plan_text is None:
            return None
        plan: dict[str, Any] = json.loads(self.plan_text)
        return plan


@lru_cache(maxsize=256)
def _read_short(text: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(text)
    return read


def _read(text: str) -> dict[str, Any]:
    # Most reports about pushes are the same for many queries: nothing was ignored.
    if len(text) < _SHORT and text.startswith('{"applied":'):
        return _read_short(text)
    read: dict[str, Any] = json.loads(text)
    return read


def parse_report(notices: Iterable[str]) -> Report:
    """Returns the report among the `notices` of a statement; other notices are skipped.

    Of the messages of several statements, those of the first one count.
    """
    found: dict[str, Any] = {}
    passed_over = 0
    for notice in notices:
        at = notice.find(_NAME, 0, 64)
        if at >= 0:
            try:
                message = _parse_message(notice, at)
            except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
                passed_over += 1
                continue
            for key, value in message.items():
                found.setdefault(key, value)
    return Report(
        found.get("applied", ()),
        found.get("ignored", ()),
        found.get("blocks"),
        found.get("sets", {}),
        found.get("naming_ms"),
        found.get("planning_ms"),
        found.get("execution_ms"),
        found.get("plan"),
        found.get("indexes", ()),
        passed_over,
    )


def _parse_message(notice: str, at: int) -> dict[str, Any]:
    """Returns the message of the module that begins at `at`; raises for a wrong form."""
    if not notice.startswith(HEAD, at):
        raise ValueError("this is not a report for this process")
    # The plan is the last key of its message, after numbers only. It stays text, since most plans
    # are stored without being read.
    text, plan = notice[at + len(HEAD) - 1 :], notice.find(_PLAN, at, at + _PLAN_BEFORE)
    if plan >= 0:
        text = notice[at + len(HEAD) - 1 : plan].rstrip(",") + "}"
    # The description stays text, too: it is the same whenever a query is planned.
    begins, ends = text.find(_BLOCKS), text.find(_SETS)
    blocks = None
    if 0 <= begins < ends:
        blocks = text[begins + len(_BLOCKS) : ends]
        text = text[:begins] + text[ends + 1 :]
    read = _read(text)
    message: dict[str, Any] = {
        "applied": tuple(map(operator.index, read.get("applied", ()))),
        "ignored": tuple(
            [(operator.index(number), str(reason)) for number, reason in read.get("ignored", ())]
        ),
    }
    message = {key: value for key, value in message.items() if key in read}
    if "indexes" in read:
        message["indexes"] = tuple(
            [(operator.index(number), operator.index(size)) for number, size, *_ in read["indexes"]]
        )
    if blocks is not None:
        message["blocks"] = blocks
        message["sets"] = {
            str(number): [(operator.index(mask), rows / 1) for mask, rows in sets]
            for number, sets in read["sets"].items()
        }
    for key in ("planning_ms", "execution_ms", "naming_ms"):
        if read.get(key) is not None:
            message[key] = read[key] / 1
    if plan >= 0:
        message["plan"] = notice[plan + len(_PLAN) : notice.rindex("}")]
    return message
