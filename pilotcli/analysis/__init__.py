"""Analyses of runs: comparisons of two of them, and what changed in a run after each event."""
