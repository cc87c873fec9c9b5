"""`pilotscope.Anchor.PostgreSQL`: names as in PilotScope."""
