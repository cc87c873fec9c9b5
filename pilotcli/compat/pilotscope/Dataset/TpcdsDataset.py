"""TPC-DS."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset

__all__ = ["TpcdsDataset"]


class TpcdsDataset(BaseDataset):
    """TPC-DS."""

    sub_dir = "Tpcds"
    db_name = "tpcds"
    schema_file = "tpcds.sql"
    train_sql_file = "tpcds_train_sql.txt"
    test_sql_file = "tpcds_test_sql.txt"
    fast_sql_file = "tpcds_fast_sql.txt"
