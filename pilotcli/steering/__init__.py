"""How push and pull handlers reach the database, and what the database at hand can do.

A scheduler without handlers and pulls sends every query as it stands. One with them asks the
handlers before each query (`Steering`), and a session's `Steerer` turns what they say into one
message for the server. `PilotDataInteractor` does the same by hand, a query at a time.
"""
