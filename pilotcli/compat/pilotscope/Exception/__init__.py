"""`pilotscope.Exception`: names as in PilotScope."""
