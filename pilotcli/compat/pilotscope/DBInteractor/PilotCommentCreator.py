"""The comments that PilotScope's patched server reads."""

from __future__ import annotations

from pilotcli.compat.refused import RefusedClass

__all__ = ["PilotCommentCreator"]


class PilotCommentCreator(RefusedClass):
    """Refused: an unmodified server reads no such comments. Raises `CapabilityError`."""

    message = "pilot sends no comments to a patched server"
    hint = "Push and pull through PilotDataInteractor."
