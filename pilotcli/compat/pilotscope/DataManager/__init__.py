"""`pilotscope.DataManager`: names as in PilotScope."""
