"""STATS-CEB, with times as integers."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset

__all__ = ["StatsDataset"]


class StatsDataset(BaseDataset):
    """STATS-CEB, with times as integers."""

    db_name = "stats"
    schema_file = "stats.sql"
    train_sql_file = "stats_train_time2int.txt"
    test_sql_file = "stats_test_time2int.txt"
