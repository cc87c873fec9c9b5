"""The base of users' models."""

from __future__ import annotations

from pilotcli.events.model import PilotModel

__all__ = ["PilotModel"]
