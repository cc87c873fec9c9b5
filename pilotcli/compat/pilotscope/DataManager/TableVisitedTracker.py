"""`TableVisitedTracker`, under its own module's name as in PilotScope."""

from __future__ import annotations

from pilotcli.compat.pilotscope.DataManager.DataManager import TableVisitedTracker

__all__ = ["TableVisitedTracker"]
