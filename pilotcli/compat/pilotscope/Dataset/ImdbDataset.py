"""IMDB, with the queries of JOB."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset

__all__ = ["ImdbDataset"]


class ImdbDataset(BaseDataset):
    """IMDB, with the queries of JOB."""

    db_name = "imdb"
    schema_file = "imdb.sql"
    train_sql_file = "job_train_ascii.txt"
    test_sql_file = "job_test.txt"
