"""Why a query is slower than in the baseline: from its times, and from both plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pilotcli.analysis.comparison import QueryTimes, whole_s
from pilotcli.analysis.node_costs import finite_number
from pilotcli.analysis.plan_changes import lowest, structure_changes
from pilotcli.analysis.plans import JOINS, PlanNode, q_error, same_plan, tree_of
from pilotcli.common.quantities import count, duration, listed, plural, size

SHARE = 0.2
"""A part of the difference that is smaller than this is no reason for it."""
LARGE_ERROR = 10.0
"""A smaller q-error is not given as a reason."""
MANY_PAGES = 100
NODES_NAMED = 2
CHANGES_NAMED = 3
NAMES_SHOWN = 6

Plan = Mapping[str, Any] | None


def why_slower(slow: QueryTimes, fast: QueryTimes, slow_plan: Plan, fast_plan: Plan) -> list[str]:
    """Returns why a query takes longer in the run `slow` than in its baseline `fast`, in words, the
    most telling first: from the parts of its time, and from its plans there, objects with the key
    `Plan`.

    Empty where it does not take longer. The last one says so where no reason was found.
    """
    if slow.mean_s is None or fast.mean_s is None:
        return []
    lost_s = whole_s(slow) - whole_s(fast)
    if lost_s <= 0:
        return []
    parts = list(_parts(slow, fast, lost_s))
    reasons = [reason for reason, _ in parts]
    explained_s = sum(part_s for _, part_s in parts)
    if slow.timeouts:
        reasons.insert(
            0, f"it ran into its time-out in {slow.timeouts} of {slow.executions} executions"
        )
    if lost_s - explained_s < SHARE * lost_s:
        return reasons
    if slow_plan is None or fast_plan is None:
        return [*reasons, "no plan was kept of both runs, so that its steps cannot be compared"]
    found = _of_plans(slow_plan, fast_plan, lost_s)
    if not found:
        found = [_nothing_found(slow_plan, fast_plan, "for the rest " if parts else "")]
    return [*reasons, *found]


def _parts(slow: QueryTimes, fast: QueryTimes, lost_s: float) -> Iterator[tuple[str, float]]:
    """Yields what takes longer besides the execution, and by how many seconds."""
    for words, slow_s, fast_s in (
        ("the driver's inference takes", slow.inference_s, fast.inference_s),
        ("steering takes", slow.steering_s, fast.steering_s),
        ("planning takes", slow.planning_s, fast.planning_s),
        ("sending it and fetching its rows take", _outside_s(slow), _outside_s(fast)),
    ):
        if slow_s is None or fast_s is None or slow_s - fast_s < SHARE * lost_s:
            continue
        more_s = slow_s - fast_s
        instead = f" instead of {duration(fast_s)}" if fast_s else ""
        yield f"{words} {duration(slow_s)}{instead}: {_share(more_s, lost_s)}", more_s


def _outside_s(times: QueryTimes) -> float | None:
    """Returns the seconds of a query outside of the server's planning and execution."""
    if times.mean_s is None or times.execution_s is None or times.timeouts:
        return None
    return times.mean_s - times.execution_s - (times.planning_s or 0.0)


def _share(part_s: float, lost_s: float) -> str:
    return f"{min(1.0, part_s / lost_s):.0%} of the difference"


def _of_plans(
    slow_plan: Mapping[str, Any], fast_plan: Mapping[str, Any], lost_s: float
) -> list[str]:
    """Returns what in the plans can make the query take longer."""
    slow, fast = tree_of(slow_plan), tree_of(fast_plan)
    if slow is None or fast is None:
        return []
    same = same_plan(slow_plan, fast_plan)
    found = [*_jit(slow_plan, fast_plan, lost_s), *_nodes(slow, fast, same)]
    if not same:
        found += structure_changes(fast, slow)[:CHANGES_NAMED]
        found += _misestimate(slow, fast)
    return [*found, *_disk(slow, fast), *_pages(slow, fast)]


def _nothing_found(slow_plan: Mapping[str, Any], fast_plan: Mapping[str, Any], what: str) -> str:
    none = f"no reason found {what}".rstrip()
    if not same_plan(slow_plan, fast_plan):
        return f"{none}: the plans differ, but in no step that is known to cost more"
    slow, fast = tree_of(slow_plan), tree_of(fast_plan)
    if slow is None or fast is None or slow.costs.total_s is None or fast.costs.total_s is None:
        return f"{none}: both plans are the same"
    both = f"{duration(slow.costs.total_s)}, in the baseline {duration(fast.costs.total_s)}"
    return f"{none}: both plans are the same (with their steps measured they took {both})"


def _jit(
    slow_plan: Mapping[str, Any], fast_plan: Mapping[str, Any], lost_s: float
) -> Iterator[str]:
    slow_s, fast_s = _jit_s(slow_plan), _jit_s(fast_plan)
    if slow_s - fast_s >= SHARE * lost_s:
        instead = f" instead of {duration(fast_s)}" if fast_s else ""
        yield f"JIT compilation takes {duration(slow_s)}{instead}"


def _jit_s(plan: Mapping[str, Any]) -> float:
    jit = plan.get("JIT")
    timing = jit.get("Timing") if isinstance(jit, Mapping) else None
    total_ms = timing.get("Total") if isinstance(timing, Mapping) else None
    return (finite_number(total_ms) or 0.0) / 1000


@dataclass(slots=True)
class _Step:
    """The nodes of a plan that do the same, taken together."""

    node: PlanNode
    own_s: float = 0.0


def _nodes(slow: PlanNode, fast: PlanNode, same: bool) -> Iterator[str]:
    """Yields the steps that cost the difference, where their times were measured."""
    if slow.costs.total_s is None or fast.costs.total_s is None:
        return
    lost_s = slow.costs.total_s - fast.costs.total_s
    if lost_s < SHARE * slow.costs.total_s:
        return
    before = _steps(fast)
    excess: list[tuple[float, _Step, _Step | None]] = []
    for key, step in _steps(slow).items():
        other = before.get(key)
        more_s = step.own_s - (other.own_s if other is not None else 0.0)
        if more_s >= SHARE * lost_s:
            excess.append((more_s, step, other))
    excess.sort(key=lambda found: -found[0])
    for _, step, other in excess[:NODES_NAMED]:
        loops = f" in {count(step.node.loops)} loops" if (step.node.loops or 0) > 1 else ""
        text = f"{_title(step.node)} takes {duration(step.own_s)} by itself{loops}"
        if other is None:
            yield f"{text}; the baseline's plan has no such step"
        else:
            way = "" if other.node.title == step.node.title else f" as {other.node.title}"
            rows = _other_rows(step.node, other.node) if same else ""
            yield f"{text}, {duration(other.own_s)} in the baseline{way}{rows}"


def _title(node: PlanNode) -> str:
    """Returns a node in words, with the relations below it where it has none itself."""
    if node.alias or node.relation or not node.names:
        return node.title
    return f"{node.title} of {listed(sorted(node.names), NAMES_SHOWN, ' ')}"


def _other_rows(slow: PlanNode, fast: PlanNode) -> str:
    if slow.actual is None or fast.actual is None or q_error(slow.actual, fast.actual) < 2:
        return ""
    return f", with {slow.actual:,.0f} rows instead of {fast.actual:,.0f}"


def _steps(tree: PlanNode) -> dict[tuple[object, ...], _Step]:
    """Returns the nodes of a plan by what they do, with their own seconds: a relation is read
    and relations are joined in one way or another."""
    steps: dict[tuple[object, ...], _Step] = {}
    for node in tree.walk():
        name = node.alias or node.relation
        if node.kind in JOINS:
            key: tuple[object, ...] = ("join", node.names)
        elif name:
            key = ("read", name)
        else:
            key = (node.way, node.names)
        step = steps.setdefault(key, _Step(node))
        step.own_s += node.costs.own_s or 0.0
        if (node.costs.own_s or 0.0) > (step.node.costs.own_s or 0.0):
            step.node = node
    return steps


def _misestimate(slow: PlanNode, fast: PlanNode) -> Iterator[str]:
    """Yields the worst wrong estimate of the slower plan, at the node where it began."""
    nodes = [node for node in slow.walk() if _error(node, slow) >= LARGE_ERROR]
    if not nodes:
        return
    node = max(nodes, key=lambda node: _error(node, slow))
    # The errors of the nodes above a wrong one follow from it, and those of joins multiply.
    while below := [
        child for child in node.children if _error(child, slow) ** 2 >= _error(node, slow)
    ]:
        node = max(below, key=lambda child: _error(child, slow))
    assert node.actual is not None and node.loops is not None
    loop = " in each loop" if node.loops > 1 else ""
    names = listed(sorted(node.names), NAMES_SHOWN, " ")
    text = (
        f"the planner expected {_rows(node.estimated / node.loops)} of {names}{loop}, and there "
        f"were {node.actual / node.loops:,.0f}: off by {node.q_error:,.0f}x"
    )
    others = [lowest(other) for other in fast.walk() if other.names == node.names]
    alike = [other for other in others if (other.loops or 1) == node.loops]
    if alike and q_error(alike[0].estimated, node.estimated) >= 2:
        text += f" (the baseline's plan expected {alike[0].estimated / node.loops:,.0f})"
    yield text


def _error(node: PlanNode, tree: PlanNode) -> float:
    """Returns the q-error of a node of `tree`; 0 where it says nothing, as where a node above may
    have stopped it early."""
    if node.q_error is None or node.actual is None or not node.names:
        return 0.0
    if node.actual < node.estimated and any(map(_stops_early, tree.walk())):
        return 0.0
    return node.q_error


def _stops_early(node: PlanNode) -> bool:
    return node.kind in ("Limit", "Merge Join") or node.join in ("Semi", "Anti")


def _rows(rows: float) -> str:
    return plural(round(rows), "row")


def _disk(slow: PlanNode, fast: PlanNode) -> Iterator[str]:
    """Yields the step that writes the most to temporary files, where the plans differ in that."""
    more = _spilled(slow) - _spilled(fast)
    if more <= 0 or more < SHARE * _spilled(slow):
        return
    node = max(slow.walk(), key=lambda node: node.costs.spilled_bytes or 0)
    instead = _spilled(fast)
    other = f", the baseline {size(instead)}" if instead else ", the baseline none"
    yield f"{_title(node)} writes {size(node.costs.spilled_bytes)} to temporary files{other}"


def _spilled(tree: PlanNode) -> int:
    return sum(node.costs.spilled_bytes or 0 for node in tree.walk())


def _pages(slow: PlanNode, fast: PlanNode) -> Iterator[str]:
    """Yields how many more pages the slower plan uses, where it is many more."""
    used, used_before = (
        sum(node.costs.pages or 0 for node in tree.walk()) for tree in (slow, fast)
    )
    read, read_before = (sum(node.costs.read or 0 for node in tree.walk()) for tree in (slow, fast))
    if used > 1.5 * used_before + MANY_PAGES:
        yield f"it uses {plural(used, 'page')}, in the baseline {count(used_before)}"
    if read > 1.5 * read_before + MANY_PAGES:
        yield (
            f"{plural(read, 'page')} were not in the server's cache, in the baseline "
            f"{count(read_before)}"
        )
