"""Sub-plan keys in the form of PilotScope's server."""

from __future__ import annotations

from pilotcli.steering.subplans import NamedCards


def cards_of(named: NamedCards) -> dict[str, float]:
    """Returns the rows of sub-plans by key, as `/* (b u) */ SELECT COUNT(*) FROM badges b, ...;`.

    The comment has the aliases of the sub-plan's relations, sorted.
    """
    cards: dict[str, float] = {}
    for subplan, key in named.keys.items():
        aliases = " ".join(sorted(subplan.names)).replace("*/", "* /").replace("/*", "/ *")
        cards.setdefault(f"/* ({aliases}) */ {key};", named.cards[key])
    return cards
