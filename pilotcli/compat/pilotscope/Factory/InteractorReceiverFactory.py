"""Makes what hears PilotScope's patched server."""

from __future__ import annotations

from typing import Any

from pilotcli.compat.pilotscope.DBInteractor.HttpInteractorReceiver import HttpInteractorReceiver

__all__ = ["InteractorReceiverFactory"]


class InteractorReceiverFactory:
    """Refused: an unmodified server answers with the query."""

    @staticmethod
    def get_data_fetcher(config: Any) -> HttpInteractorReceiver:
        """Raises `CapabilityError`."""
        return HttpInteractorReceiver(config)
