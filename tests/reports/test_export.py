"""Runs as tables for other tools, in each format and by the documented schema."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from project_folder import Project

from pilotcli.errors import UsageError
from pilotcli.records import QueryResult
from pilotcli.reports.export import ENDINGS, TABLES, export_table, export_tables
from pilotcli.storage.journal import Journal

DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"


def documented() -> dict[str, dict[str, str]]:
    """Columns and their types of each table in docs/export.md."""
    tables: dict[str, dict[str, str]] = {}
    for part in DOCUMENT.read_text("utf-8").split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        rows = [line.split("|") for line in body.splitlines() if line.startswith("| `")]
        columns = {row[1].strip(" `"): row[2].strip() for row in rows if len(row) == 5}
        if columns and name != "Comparisons":
            tables[name] = columns
    return tables


def test_the_document_is_the_schema() -> None:
    assert documented() == {name: dict(columns) for name, columns in TABLES.items()}
    assert tuple(TABLES["results"]) == QueryResult._fields


def read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    assert table.schema.metadata[b"pilot.schema_version"] == b"1"
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_table_in_every_format(paired_home: Path, tmp_path: Path, ending: str) -> None:
    with Journal.open(paired_home) as journal:
        paths = export_tables(tmp_path / "new" / "out", journal, 1, ending)
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {
        f"{table}{ending}" for table in TABLES
    }
    rows = {path.stem: read(path) for path in paths}
    assert {table: len(own) for table, own in rows.items()} == {
        "results": 24,
        "queries": 8,
        "firings": 2,
        "models": 2,
        "plans": 8,
        "runs": 1,
    }
    for table, own in rows.items():
        assert all(list(row) == list(TABLES[table]) for row in own)
    plan = rows["plans"][0]["plan"]
    told = json.loads(str(plan)) if ending != ".jsonl" else plan
    assert isinstance(told, dict) and told["Plan"]["Node Type"] == "Hash Join"
    assert float(str(rows["results"][0]["execution_s"])) > 0


def test_the_command_writes_files_and_folders(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    project.run("w.sql")
    done = project.command("runs", "export", "-o", "out.csv")
    assert done.stdout == "wrote out.csv\n", done.stderr
    assert len(read(project.folder / "out.csv")) == 2
    done = project.command("runs", "export", "1", "-o", "all", "--format", "jsonl")
    assert done.stdout.splitlines()[0] == "wrote all/results.jsonl"
    done = project.command("runs", "export", "1", "-o", "q.jsonl", "--table", "queries")
    assert [row["sql"] for row in read(project.folder / "q.jsonl")] == ["SELECT 1", "SELECT 2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("1",), "export needs to know where to"),
        (("1", "-o", "out.xlsx"), "results are written as"),
        (("1", "-o", "out.csv", "--table", "result"), "there is no table 'result'"),
        (("7", "-o", "out.csv"), "there is no run 7"),
        (("1", "-o", "no/where/out.csv"), "is missing or cannot be written"),
    ],
)
def test_what_cannot_be_exported_says_why(
    project: Project, words: tuple[str, ...], said: str
) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.run("w.sql")
    done = project.command("runs", "export", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_unknown_table_leaves_no_file(paired_home: Path, tmp_path: Path) -> None:
    with Journal.open(paired_home) as journal, pytest.raises(UsageError):
        export_table(tmp_path / "out.csv", journal, 1, "nothing")
    assert not (tmp_path / "out.csv").exists()
