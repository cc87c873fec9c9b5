"""A plan as nested lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotcli.analysis.plans import PlanNode
from pilotcli.reports.formats import as_finite
from pilotcli.reports.html.markup import cut, text

NODES_SHOWN = 300
DEPTH_SHOWN = 60
CONDITION_SHOWN = 400
Q_ERRORS = ((100.0, "q4"), (10.0, "q3"), (2.0, "q2"), (0.0, "q1"))
"""From which q-error on a node has which class."""
KEY = (
    '<p>In plans: rows expected → rows that there were, <span class="q1">about right</span>, '
    'in each loop off by more than <span class="q2">2x</span>, <span class="q3">10x</span>, '
    '<span class="q4">100x</span>.</p>'
)


def plan_tree(title: str, tree: PlanNode | None) -> str:
    """`tree` under its title; empty without one."""
    if tree is None:
        return ""
    left = [NODES_SHOWN]
    nodes = _node(tree, left, 0)
    more = "<p>The rest of this plan is left out.</p>" if left[0] < 0 else ""
    return f"<div><b>{text(title)}</b><ul>{nodes}</ul>{more}</div>"


def plan_json(title: str, plan: Mapping[str, Any] | None) -> str:
    """A button that copies `plan` as `EXPLAIN (FORMAT JSON)` gives it; empty without one.

    The script shows it. The plan is data of the page, which no browser carries out.
    """
    if plan is None:
        return ""
    try:
        # What other programs read is a list of one object.
        content = json.dumps([as_finite(plan)], separators=(",", ":"))
    except RecursionError:
        return ""
    return (
        f'<button type="button" class="copy" hidden>Copy {text(title)} as JSON</button>'
        f'<script type="application/json">{content.replace("<", chr(92) + "u003c")}</script>'
    )


def _node(node: PlanNode, left: list[int], depth: int) -> str:
    left[0] -= 1
    if left[0] < 0:
        return ""
    rows, kind = node.rows_text, ""
    if node.q_error is not None:
        kind = next(name for least, name in Q_ERRORS if node.q_error >= least)
        if node.q_error >= Q_ERRORS[-2][0]:
            rows += f" (off by {node.q_error:,.0f}x)"
    conditions = "".join(
        f'<div class="condition">{text(cut(words, CONDITION_SHOWN))}</div>'
        for words in (node.costs.words, *node.conditions)
        if words
    )
    if depth == DEPTH_SHOWN and node.children:
        left[0] = -1
        return f'<li>{text(node.title)} <span class="{kind}">{rows}</span>{conditions}</li>'
    below = "".join(_node(child, left, depth + 1) for child in node.children)
    nested = f"<ul>{below}</ul>" if below else ""
    return f'<li>{text(node.title)} <span class="{kind}">{rows}</span>{conditions}{nested}</li>'
