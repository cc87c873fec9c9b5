"""Sub-plan keys in the form of PilotScope's server."""

from __future__ import annotations

import re

from pilotcli.steering.subplans import NamedCards

_NEGATIVE = re.compile(r"(?<!')'(-\d+(?:\.\d+)?)'::(?:smallint|integer|bigint|numeric)\b(?!\()")
"""How PostgreSQL writes a negative number; within a literal the quotes are doubled."""


def cards_of(named: NamedCards) -> dict[str, float]:
    """Returns the rows of sub-plans by key, as `/* (b u) */ SELECT COUNT(*) FROM badges b, ...;`.

    The comment has the aliases of the sub-plan's relations, sorted. A negative number is written as
    one (`-2`): PilotScope's drivers read the numbers of conditions.
    """
    cards: dict[str, float] = {}
    for subplan, key in named.keys.items():
        aliases = " ".join(sorted(subplan.names)).replace("*/", "* /").replace("/*", "/ *")
        text = _NEGATIVE.sub(r"\1", key)
        cards.setdefault(f"/* ({aliases}) */ {text};", named.cards[key])
    return cards
