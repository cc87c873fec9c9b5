"""Saved versions of models, each in a folder of its own."""
