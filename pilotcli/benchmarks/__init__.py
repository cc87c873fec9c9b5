"""Benchmarks as folders that `pilot run` can use: schema, data, queries, config and README."""
