"""IMDB, with the queries of JOB."""

from __future__ import annotations

from pilotcli.compat.pilotscope.Dataset.BaseDataset import BaseDataset
from pilotcli.compat.pilotscope.PilotEnum import DatabaseEnum

__all__ = ["ImdbDataset"]


class ImdbDataset(BaseDataset):
    """IMDB, with the queries of JOB."""

    sub_dir = "Imdb"
    db_name = "imdb"
    schema_file = "imdb.sql"
    train_sql_file = "job_train_ascii.txt"
    test_sql_file = "job_test.txt"
    fast_sql_file = "imdb_fast_sql.txt"
    data_location_dict = {  # noqa: RUF012 - a class attribute in PilotScope, too
        DatabaseEnum.POSTGRESQL: (
            "https://github.com/weiwch/ai4db_datasets/releases/download/imdb/postgres_imdb.tar.gz",
        )
    }
    data_sha256 = "03ff2e51e479fddae0fd4a0a40a51fad78536bde5bba3bdc9f49563be96f9b12"
