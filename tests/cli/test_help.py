"""The helps: nothing is cut at 80 columns, options are in groups, and a pipe gets plain text."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from pilot_starter import run_pilot
from project_folder import PILOT

from pilotcli.cli.commands import COMMANDS, GROUPS, load_command
from pilotcli.cli.help_groups import GROUPED_FROM, group_of
from pilotcli.cli.help_groups import GROUPS as OPTION_GROUPS

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
PATHS = sorted([*COMMANDS, *GROUPS, ""])


def help_of(*words: str) -> str:
    done = run_pilot(*words, cwd=Path.cwd(), env={**os.environ, "COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def options_of(path: str) -> list[str]:
    options = [param for param in load_command(path).params if param.param_type_name == "option"]
    return [max(param.opts, key=len) for param in options]


@pytest.mark.parametrize("path", PATHS)
def test_help_is_not_cut_at_80_columns(path: str) -> None:
    text = help_of("help", *path.split())
    assert text.rstrip("\n") == help_of(*path.split(), "--help").rstrip("\n")
    examples = False
    for line in text.splitlines():
        examples = bool(line) and (examples or line == "  Examples:")
        assert len(line) <= 80 or examples, line
    letters = "".join(text.split())
    for param in load_command(path).params if path in COMMANDS else ():
        assert "".join(param.help.split()) in letters
    for name, (_, sentence) in COMMANDS.items():
        if name.rpartition(" ")[0] == path and path not in COMMANDS:
            # On one line, and in the completions of a shell.
            assert re.search(rf"^  {name.split()[-1]} +{re.escape(sentence)}$", text, re.MULTILINE)


def test_a_command_with_many_options_has_each_in_a_group() -> None:
    text = help_of("help", "run")
    assert "\nOptions:" not in text, "name its options in pilotcli/cli/help_groups.py"
    headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert headings == ["Arguments", *OPTION_GROUPS]
    for heading, names in OPTION_GROUPS.items():
        section = text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        shown = re.findall(r"^  (?:-\w, )?--([\w-]+)", section, re.MULTILINE)
        assert shown == list(names)


def test_a_command_with_few_options_has_one_list() -> None:
    text = help_of("help", "runs", "compare")
    assert len(options_of("runs compare")) < GROUPED_FROM
    assert re.findall(r"^(\w.*):$", text, re.MULTILINE) == ["Arguments", "Options"]


def test_the_page_has_the_groups_of_the_help() -> None:
    section = PAGE.partition("\n## `pilot run`")[2].partition("\n## ")[0]
    headings = re.findall(r"^(.*):\n\n\| \| \|$", section, re.MULTILINE)
    assert headings == [name for name in OPTION_GROUPS if name != "Config"]
    for option in options_of("run"):
        if group_of(option) != "Config":
            table = section.partition(f"\n{group_of(option)}:\n\n")[2].partition("\n\n")[0]
            assert re.search(rf"^\| `{option}\b", table, re.MULTILINE), option


@pytest.mark.parametrize("words", [["help", "run"], ["run", "--help"], ["runs", "list"]])
def test_a_reader_that_stops_early_is_no_failure(words: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [PILOT, *words], stdout=closed, stderr=subprocess.PIPE, cwd=tmp_path, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("help runs cmpare", "Did you mean 'compare'?"),
        ("help nonsuch", "No such command 'nonsuch'"),
        ("help compare", "Did you mean 'runs compare'?"),
        ("help run fast", "pilot run has no commands, so no 'fast'"),
        ("runs help", "Write pilot help runs."),
    ],
)
def test_help_for_what_is_not_there_says_so(words: str, message: str) -> None:
    done = run_pilot(*words.split(), cwd=Path.cwd())
    assert done.returncode == 2
    assert message in done.stderr
