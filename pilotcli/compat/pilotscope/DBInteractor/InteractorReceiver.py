"""What hears PilotScope's patched server."""

from __future__ import annotations

from typing import Any

from pilotcli.common.errors import CapabilityError

__all__ = ["InteractorReceiver"]


class InteractorReceiver:
    """Refused: an unmodified server answers with the query. Raises `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "pilot listens to no patched server", hint="Pull through PilotDataInteractor."
        )
