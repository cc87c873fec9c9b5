"""The error of a query whose sub-plans cannot be told."""

from __future__ import annotations

from pilotcli.common.errors import CapabilityError

__all__ = ["NotAnalysable"]


class NotAnalysable(CapabilityError):
    """The sub-plans of a query cannot be told from its text; the message says why."""
