"""`pilotscope.Anchor.PostgreSQL`: names as in PilotScope."""

from __future__ import annotations
