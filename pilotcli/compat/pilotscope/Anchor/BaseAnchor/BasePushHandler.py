"""Push handlers: what drivers derive from to put something into the database for each query."""

from __future__ import annotations

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
    "HintPushHandler",
    "IndexPushHandler",
    "KnobPushHandler",
    "ScanJoinMethodPushHandler",
]
