"""Reads plans and times in the messages of auto_explain."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pilotcli.steering.sql import Settings
from pilotcli.workload import leading_keyword


def settings_for(*, actual_rows: bool, node_times: bool = False) -> Settings:
    """Returns the settings with which auto_explain reports each statement to the client; with
    `node_times` the actual rows come with the time of each node."""
    timed = actual_rows and node_times
    return (
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.sample_rate", "1"),
        ("auto_explain.log_level", "info"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.log_analyze", "on" if actual_rows else "off"),
        ("auto_explain.log_timing", "on" if timed else "off"),
    )


_MESSAGE = re.compile(r"([0-9.]+) ms .*?\n(\{.*\})\s*\Z", re.DOTALL)


def read_auto_explain(
    notices: Sequence[str], sql: str = ""
) -> tuple[tuple[float, str] | None, int]:
    """Returns seconds and plan (JSON) of the last statement in auto_explain's messages, or None;
    and how many messages were passed over.

    Those are no messages of auto_explain's about `sql`, or hold no plan: a function of the workload
    has raised them.
    """
    plan_found: tuple[float, str] | None = None
    passed_over = 0
    executes = leading_keyword(sql) == "EXECUTE"  # the text is that of its PREPARE
    for notice in reversed(notices):
        found = _MESSAGE.search(notice)
        if found is None:
            continue
        try:
            read = json.loads(found[2])
            text, plan = read["Query Text"], read["Plan"]
            is_about = sql.strip() in text or (executes and "PREPARE" in text.upper())
            if is_about and _is_plan(plan):
                kept = {key: read[key] for key in ("Plan", "JIT") if key in read}
                plan_text = json.dumps(kept, allow_nan=False)
                plan_found = plan_found or (float(found[1]) / 1000, plan_text)
            else:
                passed_over += 1
        except (ValueError, KeyError, TypeError, RecursionError):
            passed_over += 1
    return plan_found, passed_over


def _is_plan(plan: Any) -> bool:
    """Whether `plan` has the form of a plan, down to its leaves."""
    if not isinstance(plan, dict) or not isinstance(plan.get("Node Type"), str):
        return False
    numbers = ("Startup Cost", "Total Cost", "Plan Rows", "Plan Width")
    if not all(isinstance(plan.get(key), (int, float)) for key in numbers):
        return False
    below = plan.get("Plans", [])
    return isinstance(below, list) and all(map(_is_plan, below))
