"""A sample of STATS-CEB, with times as integers."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset

__all__ = ["StatsTinyDataset"]


class StatsTinyDataset(BaseDataset):
    """A sample of STATS-CEB, with times as integers."""

    sub_dir = "StatsTiny"
    db_name = "stats_tiny"
    schema_file = "stats_tiny.sql"
    train_sql_file = "stats_train_time2int.txt"
    test_sql_file = "stats_test_time2int.txt"
    fast_sql_file = "stats_fast_sql_time2int.txt"
    data_file = schema_file
