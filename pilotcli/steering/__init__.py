"""How push and pull handlers reach the database, and what the database at hand can do.

A scheduler without handlers and pulls sends every query unchanged. Otherwise `Steering` calls the
handlers before each query, and the `SessionSteering` of a session makes one message for the server
of what they return. `PilotDataInteractor` does the same for single queries, by hand.
"""
