"""Functions of PostgreSQL whose values the same rows do not determine (manual, chapter 9)."""

from __future__ import annotations

VOLATILE = frozenset(
    """random random_normal gen_random_uuid uuidv4 uuidv7 gen_random_bytes
    clock_timestamp timeofday now statement_timestamp transaction_timestamp
    nextval currval lastval setval txid_current txid_current_if_assigned txid_current_snapshot
    pg_current_xact_id pg_current_xact_id_if_assigned pg_current_snapshot pg_backend_pid
    pg_current_wal_lsn pg_current_wal_insert_lsn pg_postmaster_start_time pg_conf_load_time
    pg_relation_size pg_total_relation_size pg_table_size pg_indexes_size pg_database_size
    set_config current_query inet_client_port inet_server_port
    query_to_xml cursor_to_xml table_to_xml schema_to_xml database_to_xml""".split()  # noqa: SIM905
)
CLOCKS = frozenset(
    {"CurrentTimestamp", "CurrentDate", "CurrentTime", "Localtime", "Localtimestamp"}
    | {"CurrentDatetime", "CurrentTimestampLTZ"}
)
"""Classes of sqlglot for what SQL writes without parentheses."""
ORDERED_AGGREGATES = frozenset(
    """array_agg string_agg json_agg jsonb_agg json_agg_strict jsonb_agg_strict json_object_agg
    jsonb_object_agg json_object_agg_strict jsonb_object_agg_strict json_object_agg_unique
    jsonb_object_agg_unique json_arrayagg json_objectagg xmlagg any_value""".split()  # noqa: SIM905
)
"""Aggregates whose value depends on the order of rows."""
ORDERED_WINDOWS = frozenset("row_number ntile lag lead first_value last_value nth_value".split())  # noqa: SIM905
"""Window functions that tell rows with equal sort keys apart."""
AGGREGATES = ORDERED_AGGREGATES | frozenset(
    """count sum avg min max bool_and bool_or every bit_and bit_or bit_xor stddev stddev_pop
    stddev_samp variance var_pop var_samp corr covar_pop covar_samp regr_slope regr_intercept
    regr_r2 regr_count mode percentile_cont percentile_disc range_agg
    range_intersect_agg""".split()  # noqa: SIM905
)
SUSPECTS = (
    VOLATILE
    | ORDERED_AGGREGATES
    | ORDERED_WINDOWS
    | frozenset(
        """limit offset fetch on over tablesample array skip current_timestamp current_date
        current_time localtime localtimestamp age now today tomorrow yesterday ctid xmin xmax cmin
        cmax returning pg_stat_activity pg_locks pg_settings pg_cursors""".split()  # noqa: SIM905
    )
)
"""Words without which a statement determines all of its rows, as far as the database has no views
and functions of the user's."""
