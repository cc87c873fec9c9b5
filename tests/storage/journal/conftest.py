"""Journals that tests write to step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotcli.storage.journal import Journal


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written but by `flush` and `close`."""
    monkeypatch.setattr("pilotcli.storage.journal.writer.BATCH_AGE_S", 3600.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    with Journal.open(home) as journal:
        yield journal
