"""Push handlers: what drivers derive from to put something into the database for each query."""

from __future__ import annotations

from typing import Any

from pilotcli.errors import CapabilityError
from pilotcli.steering.handlers import (
    BasePushHandler,
    CardPushHandler,
    CommentPushHandler,
    HintPushHandler,
    IndexPushHandler,
    KnobPushHandler,
    ScanJoinMethodPushHandler,
)

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


class CostPushHandler:
    """Refused: costs of sub-plans cannot be pushed, in PilotScope neither. Raises
    `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "costs of sub-plans cannot be pushed", hint="Push cardinalities, or methods."
        )
