"""What was pulled about a query."""

from __future__ import annotations

from pilotcli.records import PilotTransData

__all__ = ["PilotTransData"]
