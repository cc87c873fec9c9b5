"""`pilotscope.Common`: names as in PilotScope."""
