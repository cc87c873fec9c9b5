"""`pilotscope.Anchor`: names as in PilotScope."""
