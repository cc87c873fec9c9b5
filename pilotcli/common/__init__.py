"""Data, signals, errors and helpers that every other package may use."""
