"""`pilotscope.Dataset`: names as in PilotScope."""
