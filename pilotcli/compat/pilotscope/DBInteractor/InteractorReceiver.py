"""What hears PilotScope's patched server."""

from __future__ import annotations

from pilotcli.compat.refused import RefusedClass

__all__ = ["InteractorReceiver"]


class InteractorReceiver(RefusedClass):
    """Refused: an unmodified server answers with the query. Raises `CapabilityError`."""

    message = "pilot listens to no patched server"
    hint = "Pull through PilotDataInteractor."
