"""Logs of a server, made of entries, and the workloads that they become."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from pilotcli.workload.logs.choice import Choice
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs


def entry(
    second: float,
    message: str,
    detail: str = "",
    *,
    session: str = "65a1f.1",
    severity: str = "LOG",
    query: str = "",
    database: str = "shop",
    number: int = 1,
) -> list[object]:
    """A row of a csvlog, with the columns of PostgreSQL 18."""
    time = f"2026-03-04 05:06:{second:06.3f} UTC"
    before = [time, "ann", database, 4242, "[local]", session, number, "SELECT", time, "3/2", 0]
    return [
        *before, severity, "00000", message, detail, "", "", "", "", query, "", "", "web",
        "client backend", "", 0,
    ]  # fmt: skip


def csvlog(*rows: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def converted(folder: Path, *texts: str, **choice: Any) -> list[dict[str, Any]]:
    """The lines that logs with these texts become."""
    for number, text in enumerate(texts):
        (folder / f"log{number}.csv").write_text(text, encoding="utf-8")
    made = io.BytesIO()
    write_jsonl(LogConverter(Choice(**choice)).read(find_logs([folder])), made)
    return [json.loads(line) for line in made.getvalue().splitlines()]


def sql(folder: Path, *rows: list[object], **choice: Any) -> list[str]:
    return [row["sql"] for row in converted(folder, csvlog(*rows), **choice)]


def jsonlog(*rows: list[object]) -> str:
    """The same entries as a jsonlog."""
    places = {
        "timestamp": 0, "user": 1, "dbname": 2, "session_id": 5, "line_num": 6,
        "error_severity": 11, "message": 13, "detail": 14, "statement": 19, "application_name": 22,
    }  # fmt: skip
    lines = []
    for row in rows:
        fields = {key: row[place] for key, place in places.items() if row[place] != ""}
        lines.append(json.dumps(fields, separators=(",", ":"), ensure_ascii=False) + "\n")
    return "".join(lines)


def failure(second: float, query: str, **more: Any) -> list[object]:
    return entry(second, "it failed", severity="ERROR", query=query, **more)
