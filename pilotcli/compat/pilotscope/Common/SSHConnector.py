"""Logging into other machines."""

from __future__ import annotations

from typing import Any

from pilotcli.common.errors import CapabilityError

__all__ = ["SSHConnector"]


class SSHConnector:
    """Refused: pilot does not log into other machines. Raises `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "pilot does not log into other machines", hint="Run pilot on the server's machine."
        )
