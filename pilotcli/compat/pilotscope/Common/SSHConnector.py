"""Logging into other machines."""

from __future__ import annotations

from pilotcli.compat.refused import RefusedClass

__all__ = ["SSHConnector"]


class SSHConnector(RefusedClass):
    """Refused: pilot does not log into other machines. Raises `CapabilityError`."""

    message = "pilot does not log into other machines"
    hint = "Run pilot on the server's machine."
