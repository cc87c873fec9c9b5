"""The table of commands: its texts are those of the commands, and it loads what is called only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from project_folder import PILOT

from pilotcli.cli.commands import COMMANDS, GROUPS, load_command
from pilotcli.cli.main import pilot_command


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_the_table_has_the_first_sentence_of_the_help(path: str) -> None:
    help = load_command(path).help or ""
    first = re.match(r"(.*?\.)(\s|$)", help, re.DOTALL)
    assert first is not None
    assert COMMANDS[path][1] == " ".join(first[1].split())


def test_every_command_is_below_its_group() -> None:
    root = pilot_command()
    assert list(root.commands) == [*(p for p in COMMANDS if " " not in p), *GROUPS]
    for name in GROUPS:
        own = [path.split()[1] for path in COMMANDS if path.startswith(f"{name} ")]
        assert list(root.commands[name].commands) == own  # type: ignore[attr-defined]


def modules(*words: str) -> set[str]:
    """What is imported when `pilot words...` has ended."""
    program = "import sys\nfrom pilotcli.cli.main import main\ntry: main()\n"
    program += "finally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["runs", "--help"], ["--version"]])
def test_help_imports_no_command(words: list[str]) -> None:
    loaded = {f"pilotcli.cli.{module.partition(':')[0]}" for module, _ in COMMANDS.values()}
    found = modules(*words)
    assert "pilotcli.cli.commands" in found
    assert not found & {*loaded, "yaml", "sqlite3", "psycopg2", "rich.console"}


@pytest.mark.parametrize("command", ["run", "pretrain"])
def test_the_options_of_a_run_import_nothing_that_a_run_needs(command: str) -> None:
    found = modules(command, "--help")
    assert "pilotcli.cli.run" in found
    assert not found & {"pilotcli.cli.replay", "pilotcli.config", "pilotcli.storage", "psycopg2"}


def test_a_run_imports_reports_only_to_write_them(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text("SELECT 1;")
    words = ["run", str(tmp_path / "w.sql"), "--dry-run", "--set", f"home={tmp_path}"]
    assert "pilotcli.reports" not in modules(*words)
    assert "pilotcli.reports" in modules(*words, "--junit", str(tmp_path / "junit.xml"))


def test_a_command_that_lists_imports_no_driver_and_no_database(tmp_path: Path) -> None:
    for group in ("runs", "models"):
        found = modules(group, "list", "--set", f"home={tmp_path}")
        assert "pilotcli.config" in found
        assert not found & {"psycopg2", "pandas", "pilotcli.plugins", "pilotcli.reports"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pilot ru", {"run", "runs"}),
        ("pilot models r", {"rollback"}),
        ("pilot runs compare --so", {"--sort"}),
        ("pilot runs compare --sort lo", {"lost"}),
    ],
)
def test_the_shell_completes_commands_options_and_choices(words: str, expected: set[str]) -> None:
    environment = {
        **os.environ,
        "_PILOT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run([PILOT], env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


def test_an_unknown_command_is_a_usage_error_that_suggests_one() -> None:
    done = subprocess.run([PILOT, "runs", "shw"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'show'" in done.stderr
