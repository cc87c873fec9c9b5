"""The fields of a result are declared once: journal, tail, reader and exports follow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from written_run import everything

import pilotcli
from pilotcli.storage.journal.schema import SCHEMA_VERSION

FIELD = (
    '    sent_bytes: Annotated[int, Stored("INTEGER NOT NULL", "bytes", '
    f"since={SCHEMA_VERSION + 1})] = 0\n"
)
LAST = (
    "    logged: Annotated[Mapping[str, LoggedValue] | None, "
    'Stored("TEXT", json=True, since=7)] = None\n'
)
WRITES = """
import os, pathlib, signal, sqlite3, sys
from written_run import query, result
from pilotcli.storage.journal import Journal
home = pathlib.Path(sys.argv[1])
run = Journal.open(home).start_run(
    kind="run", workload="", config_path=None, config_text="", database="", options={}
)
run.add_result(query(1), result(1, sent_bytes=10))
run.flush()
sqlite3.connect(home / "journal.db", isolation_level=None).execute("BEGIN IMMEDIATE")
run.add_result(query(2), result(2, sent_bytes=20))
run.add_result(query(3), result(3))
os.kill(os.getpid(), signal.SIGKILL)
"""
READS = """
import contextlib, json, pathlib, sqlite3, sys
from written_run import query, result
from pilotcli.common.signals import QueryFinished
from pilotcli.reports.export import planned_export, write_export
from pilotcli.storage.journal import Journal, JournalReader
from pilotcli.views.jsonl import JsonlView
home = pathlib.Path(sys.argv[1])
with JournalReader(sqlite3.connect(home / "before.db"), home) as journal:
    found = {"before": [one.sent_bytes for one in journal.results(1)]}
with Journal.open(home) as journal:
    for name, run_id in (("older", 1), ("killed", 2)):
        found[name] = [one.sent_bytes for one in journal.results(run_id)]
    for ending in ("jsonl", "csv", "parquet"):
        write_export(journal, 2, planned_export(f"{home}/r.{ending}", "results", None))
JsonlView(sys.stdout)(QueryFinished(query(1), result(1, sent_bytes=7)))
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_new_field_of_a_result_needs_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    package = tmp_path / "changed" / "pilotcli"
    shutil.copytree(Path(pilotcli.__file__).parent, package)
    records = package / "common" / "records.py"
    text = records.read_text()
    assert LAST in text
    records.write_text(text.replace(LAST, LAST + FIELD))
    support = Path(__file__).parents[2] / "support"

    environment = {**os.environ, "PYTHONPATH": f"{package.parent}:{support}"}

    def run(program: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(home)]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    everything(home)
    shutil.copy(home / "journal.db", home / "before.db")
    written = run(WRITES)
    assert (written.returncode, written.stderr) == (-9, "")
    read = run(READS)
    assert read.stderr == ""
    signal, found = map(json.loads, read.stdout.splitlines())
    assert signal["result"]["sent_bytes"] == 7
    assert found == {"before": [0, 0, 0], "older": [0, 0, 0], "killed": [10, 20, 0]}
    rows = [json.loads(line) for line in (home / "r.jsonl").read_text().splitlines()]
    assert [row["sent_bytes"] for row in rows] == [10, 20, 0]
    assert (home / "r.csv").read_text().splitlines()[0].endswith(",answer,wait_s,logged,sent_bytes")
