"""Two plans of one query next to each other, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from pilotcli.analysis.plan_pair import PlanPair, PlanSide
from pilotcli.analysis.plans import PlanNode
from pilotcli.analysis.wording import push_kind, push_text
from pilotcli.common.quantities import duration, plural
from pilotcli.views.console import columns, out, out_styled
from pilotcli.views.tables import show_json
from pilotcli.views.text import Line, clean, clip_line, line_text, width, wrapped

LEAST_COLUMN = 48
IN_A_PIPE = 160
_MARKS = ((100.0, "!!!", "bold red"), (10.0, "!!", "red"), (2.0, "!", "yellow"))
"""From which q-error on a node is marked, how, and in which style."""


def q_error_style(q_error: float | None) -> tuple[str, str]:
    """The mark and the style of a q-error; empty where the estimate is good, or nobody knows."""
    for least, mark, style in _MARKS:
        if q_error is not None and q_error >= least:
            return mark, style
    return "", "green" if q_error is not None else ""


def show_plan_pairs(pairs: Sequence[PlanPair], *, json: bool = False) -> None:
    """The same for several queries, one after the other; as JSON in a list."""
    if json:
        show_json([pair.as_json() for pair in pairs])
        return
    for place, pair in enumerate(pairs):
        if place:
            out()
        show_plan_pair(pair)


def show_plan_pair(pair: PlanPair, *, json: bool = False) -> None:
    """Write both plans, next to each other where there is room, and what differs in them."""
    if json:
        show_json(pair.as_json())
        return
    show_query(pair.label, pair.sql, pair.file, pair.line)
    shown = [_side(pair.b), _side(pair.a)]
    show_beside(*shown)
    for side in (pair.b, pair.a):
        if side.mean_s is None and side.error is not None:
            out(f"\nrun {side.run_id} failed: {clean(side.error)}")
        if side.replanned:
            out()
            _show_text(
                f"run {side.run_id}: only the planner's rows, because the query got another plan "
                "after the last round"
            )
    if pair.reasons:
        lost = duration((pair.a.mean_s or 0.0) - (pair.b.mean_s or 0.0))
        show_listed(f"Why run {pair.a.run_id} took {lost} longer", pair.reasons)
    other = [change for change in pair.changes if change not in pair.reasons]
    if other:
        show_listed("What else differs" if pair.reasons else "What differs", other)
    elif not pair.changes and pair.a.tree is not None and pair.b.tree is not None:
        out("\nThe plans have the same structure, and much the same estimates.")
    if any(side.tree is not None and side.tree.actual is not None for side in (pair.a, pair.b)):
        out()
        _show_text(
            "rows: expected → actual; ! off by a factor of 2 or more in each loop, !! 10, !!! 100"
        )


def show_query(label: str, sql: str, file: str | None, line: int | None) -> None:
    """Write a query's name, its place and its text."""
    place = f"  {clean(file)}:{line}" if file else ""
    out(f"{clean(label)}{place}")
    for text in sql.strip().splitlines():
        out(f"    {clean(text)}")
    out()


def show_beside(left: Sequence[Line], right: Sequence[Line]) -> None:
    """Write lines next to each other where there is room, else the right ones below the others."""
    wide = columns(IN_A_PIPE)
    half = (wide - 3) // 2
    if half < LEAST_COLUMN:
        for lines in (left, right):
            for line in lines:
                out_styled(clip_line(line, wide))
            out()
        return
    empty: Line = [("", "")]
    for one, other in zip_longest(left, right, fillvalue=empty):
        clipped = clip_line(one, half)
        gap = " " * (half - width(line_text(clipped)))
        out_styled([*clipped, (f"{gap} │ ", "dim"), *clip_line(other, half)])


def show_listed(title: str, lines: Sequence[str]) -> None:
    """Write a title, and lines below it."""
    out(f"\n{title}")
    for line in lines:
        _show_text(line, "  ")


def _show_text(line: str, indent: str = "") -> None:
    for part in wrapped(line, columns(IN_A_PIPE), indent):
        out(part)


def _side(side: PlanSide) -> list[Line]:
    took = duration(side.mean_s) if side.mean_s is not None else "failed"
    if side.mean_s is not None and side.timeouts:
        took += f", with {plural(side.timeouts, 'time-out')} counted twice"
    lines: list[Line] = [
        [(f"run {side.run_id}, {side.name}", "bold"), (f"   {took}", "")],
    ]
    cards = dict(side.cards)
    lines.extend([(f"logged {clean(words)}", "cyan")] for words in side.logged)
    lines.extend(
        [(f"pushed {push_kind(push, cards)}: {clean(push_text(push, cards))}", "cyan")]
        for push in side.steering
    )
    lines.extend(
        [(f"not applied: {clean(push)}: {clean(why)}", "yellow")] for push, why in side.not_applied
    )
    if side.native is not None:
        lines.append([(f"ran unsteered: {clean(side.native)}", "yellow")])
    lines.append([("", "")])
    if side.tree is not None:
        return lines + tree_lines(side.tree)
    if side.mean_s is None and side.error is not None:
        return [*lines, [("no plan: it failed", "red")]]
    return [*lines, [("no plan was kept (pilot run --plans)", "yellow")]]


def tree_lines(tree: PlanNode) -> list[Line]:
    """A plan as lines, one node below the other."""
    lines: list[Line] = []
    waiting: list[tuple[PlanNode, str, str]] = [(tree, "", "")]
    while waiting:
        node, first, rest = waiting.pop()
        mark, style = q_error_style(node.q_error)
        role = f"{node.role}: " if node.role in ("InitPlan", "SubPlan") else ""
        lines.append(
            [
                (first, "dim"),
                (f"{role}{clean(node.title)}", ""),
                (f"  {node.rows_text}", style),
                (f" {mark}" if mark else "", style),
            ]
        )
        texts = [node.costs.words, *node.conditions]
        lines += [[(rest, "dim"), (f"    {clean(text)}", "dim")] for text in texts if text]
        ends = ("└ ", "  "), *[("├ ", "│ ")] * (len(node.children) - 1)
        for child, (here, below) in zip(reversed(node.children), ends, strict=False):
            waiting.append((child, rest + here, rest + below))
    return lines
