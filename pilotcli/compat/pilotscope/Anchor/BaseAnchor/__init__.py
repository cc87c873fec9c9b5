"""`pilotscope.Anchor.BaseAnchor`: names as in PilotScope."""

from __future__ import annotations
