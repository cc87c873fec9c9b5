"""Queries through sessions: one query's walk, rounds, workers."""
