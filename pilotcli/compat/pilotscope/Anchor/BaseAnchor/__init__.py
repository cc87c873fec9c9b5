"""`pilotscope.Anchor.BaseAnchor`: names as in PilotScope."""
