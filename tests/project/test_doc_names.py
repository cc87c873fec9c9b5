"""The names in the docs are those of the program: exit codes, variables, options, verdicts."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from doc_blocks import ROOT, blocks

from pilotcli.analysis.comparison import Answers, Verdict
from pilotcli.cli.commands import load_command
from pilotcli.cli.main import DEFECT_EXIT_CODE
from pilotcli.common import errors
from pilotcli.config.model import RunSection
from pilotcli.config.schema import config_schema
from pilotcli.run.request import _may_be_secret

DOCS = ROOT / "docs"
GATE_EXIT_CODE = 5


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    section = page.read_text("utf-8").partition(f"\n{heading}\n")[2]
    table = re.search(r"^\| --- .*\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table, heading
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table[1].splitlines()
    ]


def exit_codes() -> set[int]:
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type)]
    return {
        *(cls.exit_code for cls in classes if issubclass(cls, errors.PilotError)),
        *(0, GATE_EXIT_CODE, DEFECT_EXIT_CODE),
    }


@pytest.mark.parametrize(
    ("page", "heading"), [("README.md", "## In CI"), ("docs/commands.md", "## Exit codes")]
)
def test_the_pages_have_each_exit_code(page: str, heading: str) -> None:
    assert [int(code) for code, _ in rows(ROOT / page, heading)] == sorted(exit_codes())


def test_the_help_of_run_has_each_exit_code() -> None:
    text = load_command("run").help or ""
    _, _, codes = text.partition("Exit codes:")
    assert {int(code) for code in re.findall(r"(\d+):", codes)} == exit_codes()


def test_the_page_has_each_environment_variable() -> None:
    found = set()
    for path in (ROOT / "pilotcli").rglob("*.py"):
        for use in re.findall(r"environb?[.\[](?!items|copy)[^)\]}]*", path.read_text("utf-8")):
            found |= set(re.findall(r'"([A-Z_]+)"', use))
    found -= {"PGOPTIONS"}  # one of libpq's
    assert {"PILOT_DEBUG", "NO_COLOR", "CI", "CC"} <= found
    page = (DOCS / "commands.md").read_text("utf-8")
    section = page.partition("\n## Environment variables\n")[2].partition("\n## ")[0]
    other = (DOCS / "pilotscope.md").read_text("utf-8") + (DOCS / "export.md").read_text("utf-8")
    assert {name for name in found if f"`{name}`" not in section and name not in other} == set()


def test_each_key_of_run_is_an_option_of_run_with_the_same_name() -> None:
    options = {name for one in load_command("run").params for name in one.opts}
    for field in fields(RunSection):
        assert f"--{field.name.replace('_', '-')}" in options


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_each_option_that_a_page_names_exists(page: Path) -> None:
    """In the text: blocks are held by `test_doc_blocks.py`."""
    from pilotcli.cli.commands import COMMANDS

    known = {name for path in COMMANDS for one in load_command(path).params for name in one.opts}
    known |= {
        name
        for path in COMMANDS
        for one in load_command(path).params
        for name in one.secondary_opts
    }
    known |= {
        "--help",
        "--version",
        "--debug",
        "--install-completion",
        "--installed",
        "--pkglibdir",
    }
    known |= set(re.findall(r'"(--[a-z-]+)"', (ROOT / ".ci" / "matrix").read_text("utf-8")))
    text = page.read_text("utf-8")
    for block in blocks():
        if block.page == page.name:
            text = text.replace(block.text, "")
    named = {
        name
        for code in re.findall(r"`[^`\n]+`", text)
        for name in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)
    }
    assert named - known == set()


def test_the_page_has_each_verdict() -> None:
    named = ", ".join(row[0] for row in rows(DOCS / "comparing.md", "## Verdicts"))
    assert set(re.findall(r"faster|slower|same|unclear|failed|mended", named)) == {
        *get_args(Verdict)
    }
    export = (DOCS / "export.md").read_text("utf-8")
    for values in (get_args(Verdict), get_args(Answers)):
        *first, last = (f"`{value}`" for value in values)
        assert all(value in export for value in (*first, last))


def test_the_report_s_parts_are_its_headings() -> None:
    headings = set()
    for path in (ROOT / "pilotcli" / "reports" / "html").glob("*.py"):
        headings |= set(re.findall(r"<h2>([^<]+)</h2>", path.read_text("utf-8")))
    named = {
        row[0].partition(", ")[0]
        for row in rows(
            DOCS / "reports.md",
            "## The parts of the page",
        )
    }
    tops = {"the line below the title", "what it was judged on", "the first lines", "the answer"}
    assert named - tops == headings


@pytest.mark.parametrize("page", ["commands.md", "reliability.md"])
def test_the_pages_name_the_overrides_that_a_resumed_run_keeps(page: str) -> None:
    (line,) = re.findall(r"^- `--set`.*$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"`([a-z.]+)`", line.partition("outside")[2])
    config = dict.fromkeys(config_schema()["properties"], True)
    kept = [key for key in (*config, "events.count") if not _may_be_secret(f"{key}.x=1")]
    assert sorted(named) == sorted(kept)
