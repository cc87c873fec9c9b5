"""Every command is documented in docs/commands.md, in the words of its help."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from pilotcli.cli.commands import COMMANDS as TABLE
from pilotcli.cli.commands import load_command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text("utf-8")
SECTIONS = {
    heading.strip("`"): body
    for heading, _, body in (part.partition("\n") for part in PAGE.split("\n## ")[1:])
}
SHARED = {"--config", "--set"}
"""Options that the page has once, for all commands."""


COMMANDS = {f"pilot {path}": load_command(path) for path in TABLE}


def test_there_are_commands() -> None:
    assert {"pilot run", "pilot events list", "pilot db psql"} <= set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_has_an_example_which_the_page_shows(name: str) -> None:
    _, _, examples = (COMMANDS[name].help or "").partition("Example")
    assert name in examples
    shown = [line.strip() for line in examples.splitlines()[1:] if line.strip()]
    assert "```sh\n" + "\n".join(shown) + "\n```" in SECTIONS[name]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_says_what_the_help_says(name: str) -> None:
    section = re.sub(r"\[[^]]*\]\(([^)]*)\)", r"docs/\1", SECTIONS[name])
    text, _, _ = inspect.cleandoc(COMMANDS[name].help).partition("\b")
    for paragraph in text.strip().split("\n\n"):
        assert " ".join(paragraph.split()) in section


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_has_each_option_with_its_help(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if parameter.name == "help":
            continue
        section = SECTIONS["Options of all commands" if SHARED & {*parameter.opts} else name]
        rows = [line for line in section.splitlines() if f"| {parameter.help}" in line]
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if parameter.param_type_name == "option":
                assert any(re.search(rf"`[^`]*{option}\b", row) for row in rows), option
        assert rows


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_has_the_choices_and_the_defaults(name: str) -> None:
    for parameter in COMMANDS[name].params:
        default = parameter.default
        if default in (None, False) or parameter.param_type_name != "option":
            continue
        (row,) = [line for line in SECTIONS[name].splitlines() if f"| {parameter.help}" in line]
        if choices := get_args(parameter.type_descriptor.annotation):
            assert all(f"`{choice}`" in row for choice in choices)
            assert f"default `{default}`" in row
        else:
            assert f"Default: {default}." in row


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_says_a_default_once(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if parameter.default not in (None, False) and "Default: " in (parameter.help or ""):
            assert not parameter.show_default, parameter.name


def test_nothing_is_documented_that_is_not_there() -> None:
    documented = [line[4:-1] for line in PAGE.splitlines() if line.startswith("## `")]
    assert sorted(documented) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_says_what_is_required_and_no_more(name: str) -> None:
    for parameter in COMMANDS[name].params:
        rows = [line for line in SECTIONS[name].splitlines() if f"| {parameter.help}" in line]
        for row in rows:
            assert ("Required." in row) == parameter.required, row
            assert ("efault" in row) == (
                "efault" in str(parameter.help) or parameter.default not in (None, False)
            ), row
