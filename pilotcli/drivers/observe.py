"""Events that observe: table statistics before a workload, plans and slow queries during it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import QueryError, UsageError
from pilotcli.common.quantities import plural
from pilotcli.common.sql_commands import command_of, leading_keyword, may_write
from pilotcli.drivers.plans import Misestimate, plan_features, worst_misestimate
from pilotcli.events.base import QueryFinishEvent, WorkloadBeforeEvent

if TYPE_CHECKING:
    from pilotcli.config.pilot_config import PilotConfig
    from pilotcli.steering.controller import PostgreSQLController
    from pilotcli.storage.store.data_manager import DataManager

_STALE_TABLES = """
SELECT format('%I.%I', schemaname, relname)
FROM pg_stat_user_tables
WHERE pg_table_is_visible(relid)
  AND (last_analyze IS NULL AND last_autoanalyze IS NULL
       OR n_mod_since_analyze > {share} * greatest(n_live_tup, 1))
ORDER BY 1
"""

_SUMMARY = ("joins", "relations", "conditions", "bottomed", "blind_loops")


class AnalyzeTables(WorkloadBeforeEvent):
    """Runs `ANALYZE` on tables whose statistics are missing or old, before the first query.

    Old means that more than a share of `stale_share` (0.1: a tenth) of the table's rows changed
    since. Only tables of the `search_path` count. The server skips tables that the role may not
    analyze, with a warning. Raises `UsageError` for a negative `stale_share`.
    """

    def __init__(self, config: PilotConfig, enable: bool = True, stale_share: float = 0.1) -> None:
        super().__init__(config, enable)
        if not 0 <= stale_share < float("inf"):
            raise UsageError(f"AnalyzeTables: stale_share must be 0 or more, not {stale_share!r}")
        self.stale_share = float(stale_share)

    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> list[str]:
        """Analyze the tables with missing or old statistics, and return their names."""
        query = _STALE_TABLES.format(share=self.stale_share)
        tables = [row[0] for row in db_controller.execute(query, fetch=True)]
        for table in tables:
            db_controller.execute(f"ANALYZE {table}")
        if tables:
            print(f"analyzed {plural(len(tables), 'table')}")  # noqa: T201 - how a driver speaks to the user
        return tables


class PlanRecorder(QueryFinishEvent):
    """Keeps a summary of each query's plan beside its time, as plain columns for SQL.

    Reads the rows that the config's `collect:` section puts into `table` (with `physical_plan:
    true`), and adds one row per query to `into`: `run_id`, `round`, `seq`, `arm`, `label`,
    `status` and `execution_time` as they are in `table`, `cost`, `rows` (both estimates), `root`
    (the plan's first node), and the numbers `joins`, `relations`, `conditions`, `bottomed`,
    `blind_loops` of `pilotcli.drivers.plans.plan_features`. Raises `UsageError` if `table` and
    `into` are the same.
    """

    def __init__(
        self, config: PilotConfig, interval_count: int = 10, *, table: str, into: str
    ) -> None:
        super().__init__(config, interval_count)
        if table == into:
            raise UsageError(f"PlanRecorder: table and into are both {table!r}")
        self.table = table
        self.into = into

    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> int:
        """Summarise the queries since the last call, and return their number."""
        new = data_manager.read_update(self.table, reader=f"{type(self).__name__}/{self.into}")
        rows = [self._summary(row) for row in new.to_dict("records")]
        data_manager.save_data_batch(self.into, rows)
        return len(rows)

    @staticmethod
    def _summary(row: dict[Any, Any]) -> dict[str, Any]:
        plan = row.get("physical_plan")
        features = plan_features(plan)
        root = plan.get("Plan", {}) if isinstance(plan, dict) else {}
        return {
            **{name: _whole(row.get(name)) for name in ("run_id", "round", "seq")},
            **{name: row.get(name) for name in ("arm", "label", "status", "execution_time")},
            "cost": root.get("Total Cost"),
            "rows": root.get("Plan Rows"),
            "root": root.get("Node Type"),
            **{name: int(features.get(name, 0)) for name in _SUMMARY},
        }


class SlowQueryReport(QueryFinishEvent):
    """Prints one line about the slowest of the last `interval_count` queries of the run.

    Reads `table` of the config's `collect:` section. A query of `analyze_limit_s` seconds or less
    runs again under `EXPLAIN ANALYZE`, and the line names the node whose row estimate is furthest
    off; with 0 no query runs again. Only queries that read run again, in a read-only transaction,
    so that none changes data a second time.
    """

    def __init__(
        self,
        config: PilotConfig,
        interval_count: int = 10,
        *,
        table: str,
        analyze_limit_s: float = 1.0,
    ) -> None:
        super().__init__(config, interval_count)
        self.table = table
        self.analyze_limit_s = analyze_limit_s

    def process(self, db_controller: PostgreSQLController, data_manager: DataManager) -> str | None:
        """Print the line, and return it; None if no query was successful."""
        new = data_manager.read_update(self.table, reader=f"{type(self).__name__}/{self.table}")
        rows = new.to_dict("records")
        # An earlier run may have ended between two firings.
        runs = [_whole(row.get("run_id")) for row in rows]
        rows = [row for row, run in zip(rows, runs, strict=True) if run == runs[-1]]
        times = {
            number: float(row["execution_time"])
            for number, row in enumerate(rows)
            if row.get("status") == "ok" and isinstance(row.get("execution_time"), (int, float))
        }
        if not times:
            return None
        number = max(times, key=times.__getitem__)
        sql, label, seconds = rows[number].get("sql"), rows[number].get("label"), times[number]
        line = f"slowest of {len(times)}: {label}, {seconds:.3g} s"
        worst = self._misestimate(db_controller, str(sql), seconds)
        if worst is not None:
            line += f"; {worst.what} returned {worst.actual:,.0f} rows, not {worst.estimated:,.0f}"
        print(line)  # noqa: T201 - how a driver speaks to the user
        return line

    def _misestimate(
        self, db_controller: PostgreSQLController, sql: str, seconds: float
    ) -> Misestimate | None:
        if seconds > self.analyze_limit_s or not _only_reads(sql):
            return None
        db_controller.set_hint("statement_timeout", round(self.analyze_limit_s * 3000))
        db_controller.set_hint("default_transaction_read_only", True)
        try:
            return worst_misestimate(db_controller.explain_execution_plan(sql))
        except QueryError:
            return None  # it was too slow this time, or it writes


def _whole(value: Any) -> int | None:
    """Returns a number of a frame, which has floats in a column with missing values."""
    return None if value is None or math.isnan(value) else int(value)


def _only_reads(sql: str) -> bool:
    command = leading_keyword(sql)
    return command_of(command).planned and not may_write(command, sql)
