"""What is almost a name of pilot's gets a hint with the name, and the option as it was written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pilot_starter import run_pilot

HANDLERS = """
from pilotcli import HintPushHandler

class Breaks(HintPushHandler):
    def __init__(self):
        raise ValueError("no model file")
    def acquire_injected_data(self, sql):
        return None

class Fine(HintPushHandler):
    def acquire_injected_data(self, sql):
        return None
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_pilot(*words, cwd=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("configs", "workloads"):
        (tmp_path / name).mkdir()
    (tmp_path / "workloads" / "forum.sql").write_text("SELECT 1;")
    (tmp_path / "configs" / "forum.yaml").write_text("workload: ../workloads/forum.sql\n")
    (tmp_path / "drivers.py").write_text(HANDLERS)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run workloads/forum.sql --timeout 30sec", "error: --timeout 30sec: run.timeout must be"),
        ("run workloads/forum.sql --workers 0", "error: --workers 0: run.workers must be"),
        ("run workloads/forum.sql --max-failures -1", "error: --max-failures -1: run.max_failures"),
        ("run workloads/forum.sql --against nativ", "Did you mean 'native'?"),
        ("run workloads/forum.sql --format json", "'json' is not one of"),
        ("run workloads/forum.sql --format json", "Did you mean 'jsonl'?"),
        ("runs list --format jsn", "Did you mean 'json'?"),
        ("run workloads/forum.sql --worker 2", "No such option: --worker. Did you mean --workers?"),
        ("--verson", "No such option: --verson. Did you mean --version?"),
        ("show 1", "Did you mean 'models show' or 'runs show' or 'config show'?"),
        ("start", "No such command 'start'. Did you mean 'db start'?"),
        ("prune m", "Did you mean 'models prune' or 'runs prune'?"),
        ("statu", "Did you mean 'db status'?"),
        ("nonsuch", "No such command 'nonsuch'."),
        ("run workload/forum.sql", "Did you mean workloads/forum.sql?"),
        ("run -c config/forum.yaml", "Did you mean configs/forum.yaml?"),
    ],
)
def test_an_almost_right_word_gets_a_hint(folder: Path, words: str, message: str) -> None:
    done = run(folder, *words.split())
    assert done.returncode == 2
    assert message in done.stderr
    assert "Value error" not in done.stderr


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        ("workload: workloads/forun.sql", ["workload: ", "Did you mean", "workloads/forum.sql?"]),
        ("workload: workload/forum.sql", ["workload: ", "workloads/forum.sql?"]),
        (
            "workload: workloads/forum.sql\ndatabase: {setup: [drivers.py, schema.sql]}",
            ["database.setup: ", "schema.sql does not exist"],
        ),
        (
            "workload: workloads/forum.sql\ndatabase: {dsn: 'postgresql://u:pw@h/d?sslmod=x'}",
            ["database.dsn", "Did you mean 'sslmode'?"],
        ),
        (
            "workload: workloads/forum.sql\nstore: {dsn: 'hst=localhost dbname=d'}",
            ["store.dsn", "Did you mean 'host'?"],
        ),
        (
            "workload: [no.sql, workloads/*.nothing]\nhandlers: [drivers.py:Fin]",
            ["no.sql", "*.nothing", "Did you mean 'Fine'?", "3 problems"],
        ),
        ("workload: no.sql\nhandlers: [drivers.py:Breaks]", ["no.sql", "no model file", "2 prob"]),
    ],
)
def test_what_a_config_names_is_looked_for(folder: Path, config: str, messages: list[str]) -> None:
    (folder / "pilot.yaml").write_text(config)
    done = run(folder, "config", "check")
    assert done.returncode == 2
    for message in messages:
        assert message in done.stderr
    assert "sslmod=" not in done.stderr and "pw" not in done.stderr


def test_a_dry_run_looks_for_the_setup_and_reads_the_connection_string(folder: Path) -> None:
    for database in ("setup: no.sql", "dsn: 'hst=x'"):
        (folder / "pilot.yaml").write_text(f"database: {{{database}}}")
        assert run(folder, "run", "workloads/forum.sql", "--dry-run").returncode == 2


def test_handlers_are_built_before_a_run_needs_them(folder: Path) -> None:
    (folder / "pilot.yaml").write_text(
        "workload: workloads/forum.sql\nhandlers: [drivers.py:Fine, drivers.py:Breaks]\n"
    )
    for words in (["config", "check"], ["run", "--dry-run"]):
        done = run(folder, *words)
        assert done.returncode == 2
        assert "Breaks() raised ValueError: no model file" in done.stderr
    (folder / "pilot.yaml").write_text(
        "workload: workloads/forum.sql\nhandlers: [drivers.py:Fine]\n"
    )
    assert "(0 models, 0 events, 1 handler)" in run(folder, "config", "check").stdout
    assert "handlers: 1, Fine\n" in run(folder, "run", "--dry-run").stdout
