"""STATS-CEB, with times as integers."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum

__all__ = ["StatsDataset"]


class StatsDataset(BaseDataset):
    """STATS-CEB, with times as integers."""

    sub_dir = "Stats"
    db_name = "stats"
    schema_file = "stats.sql"
    train_sql_file = "stats_train_time2int.txt"
    test_sql_file = "stats_test_time2int.txt"
    fast_sql_file = "stats_fast_sql.txt"
    data_location_dict = {  # noqa: RUF012 - a class attribute in PilotScope, too
        DatabaseEnum.POSTGRESQL: (
            "https://github.com/weiwch/ai4db_datasets/releases/download/stats/postgres_stats.tar.gz",
        )
    }
    data_sha256 = "f557545c3fcf449eab02f2f3b91b13dffd814254c32536e3f96bc20e0b6991bb"
