"""`pilotscope.DBInteractor`: names as in PilotScope."""
