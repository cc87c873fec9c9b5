"""The comments that PilotScope's patched server reads."""

from __future__ import annotations

from typing import Any

from pilotcli.common.errors import CapabilityError

__all__ = ["PilotCommentCreator"]


class PilotCommentCreator:
    """Refused: an unmodified server reads no such comments. Raises `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "pilot sends no comments to a patched server",
            hint="Push and pull through PilotDataInteractor.",
        )
