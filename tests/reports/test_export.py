"""Runs as tables for other tools: what the document says is what the files hold."""

from __future__ import annotations

import csv
import json
import re
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from large_journal import make_journal
from paired import run_pair
from project_folder import Project
from written_run import everything, result, write_run

from pilotcli.common.errors import StorageError, UsageError
from pilotcli.common.records import QueryResult
from pilotcli.reports.export import planned_export, write_export
from pilotcli.reports.formats import FORMATS
from pilotcli.reports.tables import SCHEMA_VERSION, TABLES
from pilotcli.storage.journal import Journal

pytestmark = pytest.mark.slow

DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    home = tmp_path / "home"
    everything(home)
    with Journal.open(home) as journal:
        yield journal


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, as the format has them."""
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def exported(
    journal: Journal, folder: Path, table: str, format: str, run_id: int = 1
) -> list[dict[str, Any]]:
    path = folder / f"{table}.{format}"
    ((written, rows),) = write_export(journal, run_id, planned_export(str(path), table, None))
    assert written == path
    found = read(path)
    assert len(found) == rows
    return found


@pytest.mark.parametrize("table", TABLES)
def test_the_document_has_every_column(table: str) -> None:
    text = DOCUMENT.read_text()
    section = text.partition(f"### `{table}`\n")[2].partition("\n#")[0]
    documented = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    told = [(name.strip("`"), kind, unit, null != "-") for name, kind, unit, _, null in documented]
    columns = TABLES[table].columns
    assert told == [(one.name, one.kind, one.unit, one.optional) for one in columns]
    assert all(null for *_, null in documented)


def test_the_document_has_no_other_table_and_this_version() -> None:
    text = DOCUMENT.read_text()
    tables = text.partition("## Tables")[2].partition("\n## ")[0]
    assert re.findall(r"^### `(\w+)`$", tables, re.MULTILINE) == list(TABLES)
    versions = re.findall(r"^\| `schema_version` \| integer \| \| (\d+) \|", tables, re.MULTILINE)
    assert set(versions) == {str(SCHEMA_VERSION)}


def test_a_result_s_fields_are_columns_under_their_own_names() -> None:
    names = [column.name for column in TABLES["results"].columns]
    assert names == ["schema_version", "run_id", *QueryResult._fields]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_null_is_what_may_be(
    journal: Journal, tmp_path: Path, table: str, format: str
) -> None:
    rows = exported(journal, tmp_path, table, format)
    nothing = "" if format == "csv" else None
    for column in TABLES[table].columns:
        values = [row[column.name] for row in rows]
        assert values
        if not column.optional:
            assert nothing not in values, column.name


@pytest.mark.parametrize("table", TABLES)
def test_the_values_are_of_their_types(journal: Journal, tmp_path: Path, table: str) -> None:
    types = {"integer": int, "number": (int, float), "text": str, "json": (dict, list)}
    for row in exported(journal, tmp_path, table, "jsonl"):
        assert list(row) == [column.name for column in TABLES[table].columns]
        for column in TABLES[table].columns:
            value = row[column.name]
            assert value is None or isinstance(value, types[column.kind]), column.name  # type: ignore[arg-type]


@pytest.mark.parametrize("table", TABLES)
def test_all_formats_have_the_same_values(journal: Journal, tmp_path: Path, table: str) -> None:
    by_format = {one: exported(journal, tmp_path, table, one) for one in FORMATS}
    for lines, flat, parquet in zip(
        by_format["jsonl"], by_format["csv"], by_format["parquet"], strict=True
    ):
        for column in TABLES[table].columns:
            value, from_csv, from_parquet = (row[column.name] for row in (lines, flat, parquet))
            if value is None:
                assert (from_csv, from_parquet) == ("", None)
            elif column.kind == "json":
                assert json.loads(from_csv) == json.loads(from_parquet) == value
            elif column.kind == "text":
                assert from_csv == from_parquet == value
            else:
                assert float(from_csv) == from_parquet == value


def test_the_values_are_those_of_the_run(journal: Journal, tmp_path: Path) -> None:
    rows = exported(journal, tmp_path, "results", "jsonl")
    expected = list(journal.results(1))
    for row, one in zip(rows, expected, strict=True):
        fields = {name: row[name] for name in QueryResult._fields if name != "steering"}
        own = one._asdict()
        steering = own.pop("steering")
        assert fields == own
        assert (row["steering"] is None) == (steering is None)
    assert rows[0]["steering"] == {
        "applied": ["enable_nestloop = off"],
        "ignored": [["x\udc80", "no"]],
        "native": None,
        "cards": [],
    }
    (run,) = exported(journal, tmp_path, "runs", "jsonl")
    assert (run["workload"], run["status"], run["exit_code"]) == ("w.sql", "finished", 0)
    assert run["options"] == {"repeat": 2}
    failed = exported(journal, tmp_path, "firings", "jsonl")[1]
    assert (failed["outcome"], failed["traceback"]) == ("failed", "Trace\n  no")
    metrics = [row["metrics"] for row in exported(journal, tmp_path, "models", "jsonl")]
    assert metrics == [{"mae": 1.5}, {"mae": None, "n": 1.0}]


def test_parquet_says_what_it_is(journal: Journal, tmp_path: Path) -> None:
    exported(journal, tmp_path, "results", "parquet")
    schema = pq.read_schema(tmp_path / "results.parquet")
    assert schema.metadata[b"pilot.schema_version"] == b"1"
    assert schema.metadata[b"pilot.table"] == b"results"
    assert schema.field("row_count") == pa.field("row_count", pa.int64(), nullable=True)
    assert schema.field("elapsed_s") == pa.field("elapsed_s", pa.float64(), nullable=False)


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_without_rows_has_tables_with_columns(tmp_path: Path, format: str) -> None:
    run_id = write_run(tmp_path / "home", [])
    with Journal.open(tmp_path / "home") as journal:
        assert exported(journal, tmp_path, "results", format, run_id) == []
    path = tmp_path / f"results.{format}"
    if format == "parquet":
        assert len(pq.read_schema(path)) == len(TABLES["results"].columns)
    elif format == "csv":
        assert path.read_text().startswith("schema_version,run_id,seq,")


def test_a_run_that_was_killed_says_so(tmp_path: Path) -> None:
    run_id = write_run(tmp_path / "home", [result(1)], ended=None)
    with Journal.open(tmp_path / "home") as journal:
        (row,) = exported(journal, tmp_path, "runs", "jsonl", run_id)
    assert (row["status"], row["finished_at"], row["exit_code"]) == ("killed", None, None)


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_has_all_tables(journal: Journal, tmp_path: Path, format: str) -> None:
    folder = tmp_path / "out"
    for _ in range(2):  # the second replaces the files of the first
        write_export(journal, 1, planned_export(f"{folder}/", None, format))
        assert {one.name for one in folder.iterdir()} == {f"{name}.{format}" for name in TABLES}
    write_export(journal, 1, planned_export(str(folder), "plans", "csv"))
    assert (folder / "plans.csv").exists()


def test_all_files_or_none(journal: Journal, tmp_path: Path) -> None:
    """A plan that is damaged is found while the last table is written."""
    journal._connection.execute("UPDATE plans SET plan = '{'")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "runs.csv").write_text("as it was")
    with pytest.raises(ValueError, match="Expecting"):
        write_export(journal, 1, planned_export(f"{tmp_path}/out/", None, "csv"))
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["runs.csv"]
    assert (tmp_path / "out" / "runs.csv").read_text() == "as it was"


@pytest.mark.parametrize("format", FORMATS)
def test_long_runs_take_no_more_memory(tmp_path: Path, format: str) -> None:
    run_id = make_journal(tmp_path / "home", 30_000, firings=0)
    planned = planned_export(str(tmp_path / f"results.{format}"), None, None)
    with Journal.open(tmp_path / "home") as journal:
        write_export(journal, 1, planned)  # what is imported is not counted
        tracemalloc.start()
        ((_, rows),) = write_export(journal, run_id, planned)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert rows == 30_000
    # All of its results at once take more than 20 MB; a batch of 10,000 takes less than 12.
    assert peak < 16_000_000


def test_large_texts_are_groups_of_their_own(tmp_path: Path) -> None:
    long = "x" * 900_000
    write_run(
        tmp_path / "home",
        [result(seq, status="error", error=f"{seq}{long}") for seq in range(1, 41)],
    )
    with Journal.open(tmp_path / "home") as journal:
        write_export(journal, 1, planned_export(str(tmp_path / "r.parquet"), None, None))
    assert pq.ParquetFile(tmp_path / "r.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "r.parquet").num_rows == 40


@pytest.mark.parametrize(
    ("output", "table", "format", "told"),
    [
        ("r.xml", None, None, ".parquet, .csv, .jsonl"),
        ("r", None, None, "of a folder is a /"),
        ("r.csv", "result", None, "Did you mean 'results'"),
        ("out/", None, "xml", "csv, jsonl, parquet"),
        ("r.csv", None, "jsonl", "the ending says csv"),
        ("missing/r.csv", None, None, "missing"),
        ("missing/out/", None, "csv", "missing"),
        ("file/", None, "csv", "is a file"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, output: str, table: str | None, format: str | None, told: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as caught:
        planned_export(f"{tmp_path}/{output}", table, format)
    assert told in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("output", ["r.parquet", "out/"])
def test_parquet_without_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match="needs pyarrow") as caught:
        planned_export(f"{tmp_path}/{output}", None, None)
    assert caught.value.hint is not None
    assert "pip install 'pilot-db[parquet]'" in caught.value.hint
    assert planned_export(f"{tmp_path}/r.csv", None, None).format == "csv"


def test_an_unknown_run(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no run 99"):
        write_export(journal, 99, planned_export(f"{tmp_path}/out/", None, "csv"))
    assert not (tmp_path / "out").exists()


def test_a_real_pair_of_runs(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT count(*) FROM generate_series(1, 99);\n")
    run_pair(project, "w.sql")
    done = project.command("runs", "export", "-o", "newest/", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert "wrote newest/results.csv: 6 rows" in done.stdout
    assert read(project.folder / "newest" / "runs.csv")[0]["arm"] == "baseline"
    done = project.command("runs", "export", "1", "-o", "one/")
    assert done.returncode == 0, done.stderr
    results = read(project.folder / "one" / "results.parquet")
    assert len(results) == 6
    assert all(0 < row["execution_s"] < row["elapsed_s"] for row in results)
    assert {row["answer"] for row in results if row["seq"] == 1} != {None}
    plans = read(project.folder / "one" / "plans.parquet")
    assert {(row["seq"], row["round"]) for row in plans} == {(1, 0), (1, 1), (2, 0), (2, 1)}
    assert all("Plan" in json.loads(row["plan"]) for row in plans)
    done = project.command("runs", "export", ".pilot:2", "-o", "q.jsonl", "--table", "queries")
    assert done.returncode == 0, done.stderr
    assert [row["label"] for row in read(project.folder / "q.jsonl")] == ["q1", "q2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["export"], "Add -o FILE"),
        (["export", "first", "-o", "r.csv"], "no run named 'first'"),
        (["export", "9", "-o", "r.csv"], "no run 9"),
        (["export", "-o", "r.xml"], ".parquet, .csv, .jsonl"),
    ],
)
def test_the_command_says_what_is_wrong(project: Project, words: list[str], told: str) -> None:
    project.config()
    write_run(project.folder / ".pilot", [result(1)])
    done = project.command("runs", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(project.folder.glob("r.*"))


def test_output_of_a_run_is_the_table_of_its_results(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;\nSELECT 1/0;\n")
    project.command("run", "w.sql", "--output", "a.jsonl")
    project.command("runs", "export", "-o", "b.jsonl")
    assert len(read(project.folder / "a.jsonl")) == 2
    assert (project.folder / "a.jsonl").read_text() == (project.folder / "b.jsonl").read_text()


@pytest.mark.slow
def test_texts_that_a_spreadsheet_calculates_can_get_a_quote(project: Project) -> None:
    project.config()
    project.write("w.csv", 'label,sql\n"=HYPERLINK(1)",SELECT 1\n@SUM(1),SELECT -2\n+1,SELECT 3\n')
    project.run("w.csv")
    labels = {}
    for option in ((), ("--no-formulas",)):
        done = project.command("runs", "export", "-o", "r.csv", *option)
        assert done.returncode == 0, done.stderr
        labels[option] = [row["label"] for row in read(project.folder / "r.csv")]
    assert labels[()] == ["=HYPERLINK(1)", "@SUM(1)", "+1"]
    assert labels[("--no-formulas",)] == ["'=HYPERLINK(1)", "'@SUM(1)", "'+1"]
    done = project.command("runs", "export", "-o", "r.jsonl", "--no-formulas")
    assert done.returncode == 2


def test_a_nul_in_a_text_is_none_in_csv(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_run(home, [result(1, status="error", error="it said \0 and ended")])
    with Journal.open(home) as journal:
        (row,) = exported(journal, tmp_path, "results", "csv")
    assert row["error"] == "it said \ufffd and ended"
