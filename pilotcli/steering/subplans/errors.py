"""The error for a query that cannot be analysed."""

from __future__ import annotations

from pilotcli.common.errors import CapabilityError


class NotAnalysable(CapabilityError):
    """The sub-plans of a query cannot be found from its text; the message says why."""
