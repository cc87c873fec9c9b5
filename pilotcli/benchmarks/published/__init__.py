"""Benchmarks that others publish: pilot arranges the files that a user has, or asks to download."""
