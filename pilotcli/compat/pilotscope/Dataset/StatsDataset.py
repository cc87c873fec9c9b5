"""STATS-CEB."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum

__all__ = ["StatsDataset"]


class StatsDataset(BaseDataset):
    """STATS-CEB, whose times are time stamps."""

    sub_dir = "Stats"
    db_name = "stats"
    schema_file = "stats.sql"
    train_sql_file = "stats_train.txt"
    test_sql_file = "stats_test.txt"
    fast_sql_file = "stats_fast_sql.txt"
    data_location_dict = {  # noqa: RUF012 - a class attribute in PilotScope, too
        DatabaseEnum.POSTGRESQL: (
            "https://github.com/weiwch/ai4db_datasets/releases/download/stats/postgres_stats.tar.gz",
        )
    }
    data_sha256 = "4079854d51034e5aedcaaea6a23ef967ecd0f0cce559781cb825334760a6152a"
