"""The queries of sub-plans, from a description in the planner module's form."""

from __future__ import annotations

import json

from pilotcli.steering.subplans.described import DescribedQuery


def test_a_part_of_with_brings_the_parts_that_it_uses() -> None:
    parts = [("t", []), ("u", []), ("w", ["u"]), ("v", ["w"])]
    block = {
        "number": "1",
        "relations": [{"name": "v", "text": "v", "uses": 0, "with": ["v"]}],
        "with": [
            {"name": name, "text": f"{name} AS (...)", "with": uses, "recursive": False}
            for name, uses in parts
        ],
        "specials": [],
        "tree": 0,
        "joins_nullable": True,
    }
    key = DescribedQuery(json.dumps([block])).blocks["1"].key(1)
    assert key == "WITH u AS (...), w AS (...), v AS (...) SELECT COUNT(*) FROM v"
