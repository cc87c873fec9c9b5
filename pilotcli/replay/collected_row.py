"""The data that a run stores about a query: the pulls that they need, and the row."""

from __future__ import annotations

import json
from typing import Any

from pilotcli.common.records import JsonText, Query, QueryResult, SteeringReport
from pilotcli.common.value_texts import as_sent
from pilotcli.config.model import CollectSection
from pilotcli.databases.protocols import Rows
from pilotcli.steering.requests import Pulls, Steered


def pulls_for(collect: CollectSection) -> Pulls:
    """Returns what to ask the server about each query, in addition to its rows and its time."""
    return Pulls(
        execution_time=collect.server_times,
        physical_plan=collect.physical_plan,
        actual_rows=collect.actual_rows,
        node_times=False,
        estimated_cost=collect.estimated_cost,
        subquery_cards=collect.subquery_cards,
        buffercache=collect.buffercache,
    )


def collected_row(
    collect: CollectSection, query: Query, result: QueryResult, rows: Rows, steered: Steered | None
) -> dict[str, Any]:
    """Returns what `collect` names of a query; `steered` is what was pulled, None for nothing."""
    row: dict[str, Any] = {"label": query.label, "sql": query.sql, "status": result.status}
    if collect.execution_time:
        row["execution_time"] = result.elapsed_s - result.wait_s
    if collect.records:
        ended = result.status in ("ok", "wrong_answer")
        records = [list(values) for values in rows.rows] if ended else None
        row["records"] = json.loads(json.dumps(records, default=as_sent))
        if collect.max_rows is not None:
            row["row_count"] = rows.row_count
    if steered is None:
        return row
    if collect.server_times:
        row["planning_time"] = steered.planning_s
        row["server_execution_time"] = steered.execution_s
    if collect.physical_plan or collect.actual_rows:
        text = steered.plan_text
        row["physical_plan"] = None if text is None else JsonText(text)
    if collect.estimated_cost:
        row["estimated_cost"] = steered.estimated_cost
    if collect.subquery_cards:
        row["subquery_2_card"] = steered.cards
    if collect.buffercache:
        row["buffercache"] = steered.buffercache
    return row


def origin(result: QueryResult, run_id: int | None, arm: str | None) -> dict[str, Any]:
    """Returns the columns of a row that say where it comes from: which execution, and how it was
    steered."""
    report = result.steering
    return {
        "run_id": run_id,
        "arm": arm,
        "round": result.round,
        "worker": result.worker,
        "seq": result.seq,
        "started_at": result.started_at,
        "applied": None
        if report is None
        else {
            "applied": report.applied,
            "ignored": report.ignored,
            "native": report.native,
            "cards": report.cards,
        },
        "logged": result.logged,
    }


def example_row(collect: CollectSection) -> dict[str, Any]:
    """Returns a row with every column that a run stores, to try whether a store takes it."""
    report = SteeringReport(
        ("a = on", "SELECT 1"), (("b = on", "why"),), None, (("SELECT 1", 2.0),)
    )
    steered = Steered(
        plan_text='{"Plan": {"Total Cost": 0.5}}',
        planning_s=0.5,
        execution_s=0.5,
        cards={"SELECT 1": 0.5},
        buffercache={"table": 1},
    )
    rows = Rows(rows=[(1,)], row_count=1)
    result = QueryResult(1, "probe", "ok", 0.5, 0.5, steering=report, logged={"a": 0.5})
    row = collected_row(collect, Query(1, "probe", "SELECT 1"), result, rows, steered)
    return {**row, **origin(result, 1, "driver")}
