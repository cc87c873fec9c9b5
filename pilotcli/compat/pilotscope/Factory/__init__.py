"""`pilotscope.Factory`: names as in PilotScope."""

from __future__ import annotations
