"""Every command is documented, with all of its options, and its help has an example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pilotcli.cli.main import app

ROOT = Path(__file__).parents[2]


def commands() -> Iterator[tuple[str, Any]]:
    waiting = [("pilot", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        else:
            waiting += [(f"{name} {one}", below[one]) for one in below]


COMMANDS = dict(commands())


def test_there_are_commands() -> None:
    assert {"pilot run", "pilot events list", "pilot db psql"} <= set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_has_an_example(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert "Example" in text
    assert f"{name}" in text.partition("Example")[2]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_command_is_documented(name: str) -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    sections = {
        heading.strip("`"): body
        for heading, _, body in (part.partition("\n") for part in text.split("\n## ")[1:])
    }
    assert name in sections, "docs/commands.md has no section for it"
    for parameter in COMMANDS[name].params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert f"{option}" in sections[name], f"{option} is not in docs/commands.md"


def test_nothing_is_documented_that_is_not_there() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    documented = [line[4:-1] for line in text.splitlines() if line.startswith("## `")]
    assert sorted(documented) == sorted(COMMANDS)
