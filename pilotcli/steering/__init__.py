"""Push and pull: how handlers reach the database, and what a server can do for them.

A scheduler without handlers and pulls sends every query unchanged. Otherwise `Steering` calls the
handlers before each query, and the `SessionSteering` of a session makes one message for the server
of what they return. `PilotDataInteractor` does the same for single queries, by hand.
"""
