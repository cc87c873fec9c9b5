"""Connections and sessions of PostgreSQL: send a statement, fetch its result, cancel it."""
