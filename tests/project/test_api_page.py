"""docs/api.md is what `docs/make_api.py` makes of the exported names and their docstrings."""

from __future__ import annotations

import runpy

import pytest
from doc_blocks import ROOT

import pilotcli


@pytest.fixture(scope="module")
def made() -> str:
    text: str = runpy.run_path(str(ROOT / "docs" / "make_api.py"))["page"]()
    return text


def test_the_page_is_up_to_date(made: str) -> None:
    assert (ROOT / "docs" / "api.md").read_text("utf-8") == made, "run: python docs/make_api.py"


def test_each_exported_name_is_there(made: str) -> None:
    for name in pilotcli.__all__:
        if name != "__version__":
            assert f"### `{name}" in made or f"| `{name}` |" in made, name


def test_nothing_is_without_words(made: str) -> None:
    assert "| |\n| ---" in made
    assert not [line for line in made.splitlines() if line.startswith("| `") and "|  |" in line]
