"""Pull handlers by their name."""

from __future__ import annotations

from typing import Any

from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BasePullHandler import BasePullHandler
from pilotcli.compat.pilotscope.Anchor.PostgreSQL import PullAnhor
from pilotcli.errors import CapabilityError

__all__ = ["AnchorHandlerFactory"]

_PULLS: dict[AnchorEnum, type[BasePullHandler]] = {
    one.anchor: one for one in map(vars(PullAnhor).__getitem__, PullAnhor.__all__)
}


class AnchorHandlerFactory:
    """Makes pull handlers."""

    @classmethod
    def get_anchor_handler(cls, config: Any, anchor: AnchorEnum) -> BasePullHandler:
        """The handler of that name. Raises `CapabilityError` for pushes: these are derived from,
        or made through the interactor."""
        if anchor not in _PULLS:
            raise CapabilityError(
                f"{anchor.name} cannot be made by itself",
                hint="Push through PilotDataInteractor, or derive from the push handler.",
            )
        return _PULLS[anchor](config)
