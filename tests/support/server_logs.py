"""Entries of a server's log, written as PostgreSQL writes them: csvlog, jsonlog, and text.

`tests/workload/logs/test_real_logs.py` compares these writers with a server's own files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

COLUMNS = (
    "timestamp", "user", "dbname", "pid", "from", "session_id", "line_num", "ps", "session_start",
    "vxid", "txid", "error_severity", "state_code", "message", "detail", "hint", "internal_query",
    "internal_position", "context", "statement", "cursor_position", "location",
    "application_name", "backend_type", "leader_pid", "query_id",
)  # fmt: skip
"""The columns of a csvlog, by the names that a jsonlog has for them."""
_QUOTED = frozenset(
    [
        "user",
        "dbname",
        "from",
        "ps",
        "message",
        "detail",
        "hint",
        "internal_query",
        "context",
        "statement",
        "location",
        "application_name",
        "backend_type",
    ]
)
_NUMBERS = frozenset(
    ["pid", "remote_port", "line_num", "txid", "cursor_position", "leader_pid", "query_id"]
)
_PARTS = (
    ("DETAIL", "detail"), ("HINT", "hint"), ("QUERY", "internal_query"), ("CONTEXT", "context"),
    ("STATEMENT", "statement"),
)  # fmt: skip

Fields = Mapping[str, str]


def csv_entry(row: Fields) -> str:
    """Returns the entry of a csvlog; a field that is missing is null."""
    return ",".join(_csv_field(name, row.get(name, "")) for name in COLUMNS) + "\n"


def _csv_field(name: str, value: str) -> str:
    if name not in _QUOTED or not (value or name == "application_name"):
        return value
    return '"{}"'.format(value.replace('"', '""'))


def json_entry(row: Fields) -> str:
    """Returns the entry of a jsonlog."""
    fields: dict[str, object] = {}
    for name in COLUMNS:
        value = row.get(name, "")
        if name == "from":
            host, _, port = value.partition(":")
            fields |= {"remote_host": host, "remote_port": port and int(port)}
        elif name != "location":
            fields[name] = int(value) if value and name in _NUMBERS else value
    if fields["state_code"] == "00000":
        del fields["state_code"]
    shown = {name: value for name, value in fields.items() if value != ""}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n"


def text_entry(row: Fields, prefix: str) -> str:
    """Returns the entry as text, with this `log_line_prefix`."""
    shown = _prefix(row, prefix)
    message = row["message"]
    if row.get("cursor_position"):
        message += f" at character {row['cursor_position']}"
    parts = [(row["error_severity"], message)]
    parts += [(level, row[name]) for level, name in _PARTS if row.get(name)]
    return "".join(f"{shown}{level}:  {_tabbed(text)}\n" for level, text in parts)


def _tabbed(text: str) -> str:
    return text.replace("\n", "\n\t")


def _prefix(row: Fields, prefix: str) -> str:
    host, _, port = row.get("from", "").partition(":")
    values = {
        "m": row["timestamp"],
        "t": re.sub(r"\.\d+", "", row["timestamp"]),
        "n": row.get("epoch", ""),
        "p": row["pid"],
        "u": row.get("user") or "[unknown]",
        "d": row.get("dbname") or "[unknown]",
        "a": row.get("application_name") or "[unknown]",
        "r": f"{host}({port})" if port else host,
        "h": host,
        "c": row["session_id"],
        "l": row["line_num"],
        "e": row.get("state_code", ""),
        "%": "%",
    }
    before, _, after = prefix.partition("%q")
    wanted = before + (after if row.get("user") else "")
    return re.sub(r"%(.)", lambda found: values[found[1]], wanted)


def csvlog_of(rows: Sequence[Fields]) -> str:
    return "".join(map(csv_entry, rows))


def jsonlog_of(rows: Sequence[Fields]) -> str:
    return "".join(map(json_entry, rows))


def textlog_of(rows: Sequence[Fields], prefix: str) -> str:
    return "".join(text_entry(row, prefix) for row in rows)
