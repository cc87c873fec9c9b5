"""Plans as graphs in Graphviz's language."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pilotcli.compat.pilotscope.Common.Util import json_str_to_json_obj

__all__ = ["DotDrawer", "PlanDotDrawer"]


class DotDrawer:
    """A graph of nodes and edges, each with a label."""

    def __init__(self) -> None:
        self.nodes: dict[Any, str] = {}
        self.edge: dict[tuple[Any, Any], str] = {}

    def add_node(self, node_id: Any, label: str) -> None:
        """Add a node; one of that id is replaced."""
        self.nodes[node_id] = label

    def add_edge(self, from_id: Any, to_id: Any, label: str) -> None:
        """Add an edge; one between the same nodes is replaced."""
        self.edge[from_id, to_id] = label

    def get_dot_str(self) -> str:
        """The graph in Graphviz's language, from top to bottom."""
        lines = ["digraph {", "  rankdir=TB"]
        lines += [
            f"  {_quoted(node)} [label={_quoted(label)}]" for node, label in self.nodes.items()
        ]
        lines += [
            f"  {_quoted(start)} -> {_quoted(end)} [label={_quoted(label)}]"
            for (start, end), label in self.edge.items()
        ]
        return "\n".join([*lines, "}"])


class PlanDotDrawer:
    """Draws the plan of `EXPLAIN (FORMAT JSON)`."""

    dot_node_id = 0
    """The number of a plan's first node."""

    @classmethod
    def get_plan_dot_str(cls, plan: Mapping[str, Any] | str) -> str:
        """The plan as a graph, an edge from each node to the one that it feeds; `plan` is an object
        with the key `Plan`, or the text of one. The plan itself is left as it is."""
        tree: Any = json_str_to_json_obj(plan) if isinstance(plan, str) else plan
        drawer, numbers = DotDrawer(), itertools.count(cls.dot_node_id)

        def add(node: Mapping[str, Any]) -> int:
            number = next(numbers)
            relation = node.get("Relation Name")
            table = f", table is {relation}" if relation else ""
            drawer.add_node(number, f"{node['Node Type']}{table}")
            for child in node.get("Plans", ()):
                drawer.add_edge(add(child), number, "")
            return number

        add(tree["Plan"])
        return drawer.get_dot_str()


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
