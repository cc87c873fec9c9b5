"""What the shell completes: runs, models, events, labels, keys of the config, benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pilot_starter import PILOT, run_pilot
from project_folder import Project

from pilotcli.benchmarks.catalog import BENCHMARKS
from pilotcli.cli.commands import COMMANDS, GROUPS, brief, load_command
from pilotcli.common.labels import RunLabels
from pilotcli.storage.journal import Journal

CONFIG = """\
workload: w.sql
events:
  - drivers.py:Collects
  - {class: drivers.py:Updates, name: late, args: {interval_count: 5}}
handlers: [drivers.py:Hints]
models: {latency: drivers.py:Model}
"""
WORKLOAD = """\
-- name: hot-a
SELECT 1;
-- name: hot-b
SELECT 2;
-- name: two words
SELECT 3;
"""
BROKEN = (
    "events: [",
    "run: {workers: 0}",
    "nonsense: 1",
    "home: ${NO_SUCH_VARIABLE}",
    "- 1",
    "\0",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pilot.yaml").write_text(CONFIG)
    (tmp_path / "w.sql").write_text(WORKLOAD)
    (tmp_path / "drivers.py").write_text("raise SystemExit('a config was only to be read')")
    return tmp_path


def shell(kind: str, words: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "_PILOT_COMPLETE": f"complete_{kind}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


def completed(folder: Path, words: str, kind: str = "fish") -> dict[str, str]:
    """What is completed after `pilot words`, each with its text."""
    done = run_pilot(cwd=folder, env=shell(kind, f"pilot {words}"))
    assert done.returncode == 0
    assert done.stderr == ""
    lines = [line.partition("\t") for line in done.stdout.splitlines() if line]
    return {value: text for value, _, text in lines}


@pytest.fixture
def runs(folder: Path) -> Path:
    """A home with three runs: ended, interrupted, killed."""
    with Journal.open(folder / ".pilot") as journal:
        for status in ("finished", "interrupted", None):
            run = journal.start_run(
                kind="run",
                workload="[/w].sql",
                config_path=None,
                config_text="{}",
                database="x",
                options={},
            )
            if status is not None:
                run.finish(status, 0, {})  # type: ignore[arg-type]
            run.close()
        journal.set_labels(1, RunLabels(name="first"))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        *("runs show", "runs compare", "runs compare 3", "runs diff", "runs report"),
        *("runs export", "runs advice", "run --expect-from", "run --failed-of"),
    ],
)
def test_runs_are_completed_with_what_they_were(runs: Path, words: str) -> None:
    found = completed(runs, f"{words} ")
    assert list(found) == ["3", "2", "first", "1"]
    assert found["first"].startswith("run 1 ")
    assert found["1"].startswith("first ") and found["1"].endswith("run finished: (/w).sql")
    assert found["3"].endswith("run killed: (/w).sql")
    assert list(completed(runs, f"{words} 2")) == ["2"]


def test_runs_that_can_go_on_are_completed(runs: Path) -> None:
    assert list(completed(runs, "run --resume ")) == ["3", "2"]


def test_models_of_config_and_home_are_completed(folder: Path) -> None:
    (folder / ".pilot" / "models" / "old" / "1").mkdir(parents=True)
    assert set(completed(folder, "models show ")) >= {"latency"}
    assert set(completed(folder, "models rollback l")) == {"latency"}


def test_events_are_completed_also_after_a_comma(folder: Path) -> None:
    assert set(completed(folder, "run --events ")) == {"Collects", "late"}
    assert set(completed(folder, "events plan --events late,")) == {"late,Collects"}


def test_handlers_are_completed(folder: Path) -> None:
    assert completed(folder, "handlers try ") == {"Hints": "drivers.py:Hints"}
    assert set(completed(folder, "handlers try Hints --query h")) == {"hot-a", "hot-b"}
    assert set(completed(folder, "events fire l")) == {"late"}


@pytest.mark.parametrize("words", ["run w.sql --select", "run --select", "run --limit 3 --exclude"])
def test_labels_of_the_workload_are_completed(folder: Path, words: str) -> None:
    # A label that the shell would read as several words is not.
    assert completed(folder, f"{words} h") == {"hot-a": "SELECT 1", "hot-b": "SELECT 2"}
    assert set(completed(folder, f"{words} ")) == {"hot-a", "hot-b"}


def test_labels_of_a_run_are_completed(project: Project) -> None:
    project.write("w.sql", WORKLOAD)
    project.run("w.sql")
    for words in ("runs show 1 --select", "runs show --exclude", "runs diff 1 --query"):
        assert set(completed(project.folder, f"{words} hot-")) == {"hot-a", "hot-b"}, words
    assert completed(project.folder, "runs show 7 --select ") == {}


def test_standard_input_is_not_read_for_labels(folder: Path) -> None:
    assert completed(folder, "run - --select ") == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --set run.work", {"run.workers=", "run.workers=1"}),
        ("run --set run.shuffle", {"run.shuffle=", "run.shuffle=true", "run.shuffle=false"}),
        ("run --set run.arrivals=p", {"run.arrivals=poisson"}),
        ("run --set store.", {"store.dsn=", "store.database="}),
        ("runs list --set models.latency.t", {"models.latency.trust="}),
        ("run --set events.late.a", {"events.late.args.interval_count="}),
        ("run --set events.late.e", {"events.late.enabled="}),
    ],
)
def test_keys_of_the_config_are_completed(folder: Path, words: str, expected: set[str]) -> None:
    assert set(completed(folder, words)) == expected


def test_another_config_is_used(folder: Path) -> None:
    (folder / "other.yaml").write_text("models: {other: drivers.py:Model}")
    assert set(completed(folder, "models prune -c other.yaml ")) == {"other"}
    assert set(completed(folder, "models prune --set models={} ")) == set()


def test_benchmarks_and_baselines_are_completed(folder: Path) -> None:
    assert set(completed(folder, "workloads get ")) == set(BENCHMARKS)
    assert set(completed(folder, "run --against n")) == {"native"}


def test_nothing_is_created_or_run(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    for words in ("runs show ", "models show ", "run --events ", "run --select "):
        completed(folder, words)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("words", ["runs show ", "models show ", "run --events ", "run --select "])
def test_a_broken_config_completes_nothing(folder: Path, kind: str, words: str) -> None:
    nothing = {"_files"} if kind == "zsh" else set()
    for text in BROKEN:
        (folder / "pilot.yaml").write_text(text)
        assert set(completed(folder, words, kind)) == nothing, text


def test_a_damaged_journal_or_workload_completes_nothing(folder: Path) -> None:
    (folder / ".pilot").mkdir()
    (folder / ".pilot" / "journal.db").write_bytes(b"no database" * 100)
    assert completed(folder, "runs show ") == {}
    (folder / "w.sql").write_text("SELECT 'never closed")
    assert completed(folder, "run --select ") == {}


def test_every_shell_gets_the_values(runs: Path) -> None:
    assert list(completed(runs, "runs show ", "bash")) == ["3", "2", "first", "1"]
    done = run_pilot(cwd=runs, env=shell("zsh", "pilot runs show "))
    assert done.stdout.startswith('_arguments \'*: :(("3":"')


@pytest.mark.parametrize("path", sorted([*COMMANDS, *GROUPS]))
def test_each_option_and_command_has_a_text_of_one_line(folder: Path, path: str) -> None:
    if path in GROUPS:
        own = {name.split()[-1] for name in COMMANDS if name.startswith(f"{path} ")}
        assert set(found := completed(folder, f"{path} ")) == own
    else:
        options = {name for param in load_command(path).params for name in param.opts}
        found = completed(folder, f"{path} --")
        assert set(found) - {"--help"} <= options | {
            name for param in load_command(path).params for name in param.secondary_opts
        }
    assert not [text for text in found.values() if text.endswith("...")]


def test_a_text_is_its_first_sentence() -> None:
    assert brief("One [line], or\n  two. And more.") == "One (line), or two"
    assert brief(f"One, two: {'x' * 60}, {'y' * 60}") == f"One, two: {'x' * 60}"
    assert brief("word " * 20).endswith(" ...")


@pytest.mark.parametrize("words", ["runs show ", "models show ", "run --set run.", "run --select "])
def test_completing_imports_little(folder: Path, words: str) -> None:
    program = "import sys\nfrom pilotcli.cli.main import main\ntry: main()\n"
    program += "finally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**shell("bash", f"pilot {words}"), "PYTHONPATH": str(Path(PILOT).parents[2])},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(done.stderr.split())
    assert "pilotcli.cli.completions.given" in found
    heavy = {"psycopg2", "pandas", "numpy", "scipy", "matplotlib", "sqlglot", "pilotcli.plugins"}
    assert not found & heavy
