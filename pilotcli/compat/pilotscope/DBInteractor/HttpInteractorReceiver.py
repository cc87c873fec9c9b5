"""What hears PilotScope's patched server by HTTP."""

from __future__ import annotations

from pilotcli.compat.pilotscope.DBInteractor.InteractorReceiver import InteractorReceiver

__all__ = ["HttpInteractorReceiver", "RequestHandler"]


class HttpInteractorReceiver(InteractorReceiver):
    """Refused, as its base."""


class RequestHandler(InteractorReceiver):
    """Refused too: there is nothing to receive."""
