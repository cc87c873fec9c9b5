"""A sample of IMDB, with the queries of JOB."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset

__all__ = ["ImdbTinyDataset"]


class ImdbTinyDataset(BaseDataset):
    """A sample of IMDB, with the queries of JOB."""

    sub_dir = "Imdb"
    db_name = "imdb_tiny"
    schema_file = "imdb_tiny.sql"
    train_sql_file = "job_train_ascii.txt"
    test_sql_file = "job_test.txt"
    fast_sql_file = "imdb_fast_sql.txt"
    data_file = schema_file
