"""Statements in the logs of PostgreSQL, in bounded memory.

`entries` says what an entry is; `csvlog` and its neighbours read entries from a file; `statements`
puts the statements together and into the order of their starts; `convert` does it for files.
"""
