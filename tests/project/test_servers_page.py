"""docs/servers.md has what `.ci/matrix --write-docs` writes, for each version and role."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doc_blocks import ROOT

PAGE = ROOT / "docs" / "servers.md"
ROLES = ("superuser", "ordinary", "preloaded")


@pytest.fixture(scope="module")
def script() -> SimpleNamespace:
    """The modules of `.ci/`, which is no package."""
    folder = str(ROOT / ".ci")
    sys.path.insert(0, folder)
    try:
        names: dict[str, Any] = {}
        for name in ("results", "lanes", "page"):
            names |= runpy.run_path(str(Path(folder) / f"{name}.py"))
        return SimpleNamespace(**names)
    finally:
        sys.path.remove(folder)
        for name in ("results", "lanes", "page", "roots"):
            sys.modules.pop(name, None)


def part(name: str) -> list[str]:
    """What the script has written under a name."""
    found = re.search(rf"<!-- {name}: made -->\n(.*?)<!-- {name}: end -->", PAGE.read_text(), re.S)
    assert found, name
    return found[1].strip().splitlines()


def cells(lines: list[str]) -> list[list[str]]:
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if line.startswith("|") and not line.startswith("| -")
    ]


def test_the_tables_are_the_scripts(script: SimpleNamespace) -> None:
    for name in ("tests", *ROLES):
        lines = [line for line in part(name) if line.startswith("|")]
        assert script.columns(cells(lines)) == lines, "run: .ci/matrix --write-docs"


def test_every_version_and_suite_is_there_and_nothing_fails(script: SimpleNamespace) -> None:
    head, *rows = cells(part("tests"))
    assert head == ["PostgreSQL", *script.SUITES]
    assert [row[0] for row in rows] == [server.title for server in script.SERVERS]
    for row, server in zip(rows, script.SERVERS, strict=True):
        for cell, suite in zip(row[1:], script.SUITES, strict=True):
            form = r"\d+(, \d+ skipped)?" if suite in server.suites else "-"
            assert re.fullmatch(form, cell), row


@pytest.mark.parametrize("role", ROLES)
def test_every_capability_has_every_version_once(role: str, script: SimpleNamespace) -> None:
    names = sorted(server.name for server in script.SERVERS)
    found: dict[str, list[str]] = {}
    for what, on, _, _ in cells(part(role))[1:]:
        found.setdefault(what, []).extend(names if on == "all" else on.split(", "))
    assert found
    assert {what: sorted(servers) for what, servers in found.items()} == dict.fromkeys(found, names)
