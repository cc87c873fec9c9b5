"""`pilotscope.Factory`: names as in PilotScope."""
