"""Push handlers: what drivers derive from to put something into the database for each query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotcli.errors import CapabilityError
from pilotcli.steering import handlers as own
from pilotcli.steering.handlers import (
    BasePushHandler,
    CommentPushHandler,
    HintPushHandler,
    IndexPushHandler,
    KnobPushHandler,
    ScanJoinMethodPushHandler,
)
from pilotcli.steering.requests import Pushes

__all__ = [
    "BasePushHandler",
    "CardPushHandler",
    "CommentPushHandler",
    "CostPushHandler",
    "HintPushHandler",
    "IndexPushHandler",
    "KnobPushHandler",
    "ScanJoinMethodPushHandler",
]


class CardPushHandler(own.CardPushHandler):
    """pilot's own; rows may be texts of numbers too, as models of PilotScope's return them."""

    def put(self, data: Mapping[str, Any] | None, pushes: Pushes) -> None:
        """See `Pushes.add_cards`."""
        if isinstance(data, Mapping):
            data = {key: _rows(rows) for key, rows in data.items()}
        super().put(data, pushes)


def _rows(value: Any) -> Any:
    """The number that a text stands for; anything else as it is, to be judged further on."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


class CostPushHandler:
    """Refused: costs of sub-plans cannot be pushed, in PilotScope neither. Raises
    `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "costs of sub-plans cannot be pushed", hint="Push cardinalities, or methods."
        )
