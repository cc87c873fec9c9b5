"""Handlers by their name."""

from __future__ import annotations

from typing import Any

from pilotcli.common.errors import CapabilityError
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.BaseAnchor import BasePushHandler as pushes
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BaseAnchorHandler import BaseAnchorHandler
from pilotcli.compat.pilotscope.Anchor.PostgreSQL import PullAnhor

__all__ = ["AnchorHandlerFactory"]

_KINDS: tuple[type[BaseAnchorHandler], ...] = (
    *PullAnhor.HANDLERS,
    pushes.CardPushHandler,
    pushes.CommentPushHandler,
    pushes.HintPushHandler,
    pushes.IndexPushHandler,
    pushes.KnobPushHandler,
    pushes.ScanJoinMethodPushHandler,
)
_HANDLERS = {handler.anchor: handler for handler in _KINDS}


class AnchorHandlerFactory:
    """Makes push and pull handlers."""

    @classmethod
    def get_anchor_handler(cls, config: Any, anchor: AnchorEnum) -> BaseAnchorHandler:
        """The handler of that name. Raises `CapabilityError` for what cannot be pushed or pulled:
        costs of sub-plans, logical plans, rewritten SQL."""
        if anchor not in _HANDLERS:
            raise CapabilityError(
                f"there is no handler for {anchor.name}",
                hint=f"There are: {', '.join(sorted(anchor.name for anchor in _HANDLERS))}.",
            )
        return _HANDLERS[anchor](config)
