"""Rows that wait for the store are in files, of which there are as many as they need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import StoreError
from pilotcli.storage.store.background_writer import Appender
from pilotcli.storage.store.connection import StoreUnreachableError
from pilotcli.storage.store.unsaved_rows import WaitingRows


class Away:
    """A store that takes nothing until it is back."""

    def __init__(self) -> None:
        self.back = False
        self.rows: list[Mapping[str, Any]] = []

    def save(self, table: str, rows: list[Mapping[str, Any]], last: int | None) -> None:
        if not self.back:
            raise StoreUnreachableError("it is away")
        self.rows += rows


def appended(appender: Appender, number: int) -> None:
    row = {"n": number}
    appender.append("t", row, number, appender.keep("t", row, number))


def test_a_store_that_stays_away_costs_one_file_however_often_it_is_tried(tmp_path: Path) -> None:
    store = Away()
    appender = Appender(store.save)
    appender.keep_in(WaitingRows(tmp_path, 1))
    for number in range(1, 51):
        appended(appender, number)
        with pytest.raises(StoreUnreachableError):
            appender.flush()
    assert len(list(tmp_path.iterdir())) == 1
    assert [one.number for one in WaitingRows(tmp_path, 1).left()] == list(range(1, 51))
    store.back = True
    appender.close()
    assert [row["n"] for row in store.rows] == list(range(1, 51))
    assert list(tmp_path.iterdir()) == []


def test_a_row_is_taken_also_by_the_call_that_tells_of_rows_refused_before(tmp_path: Path) -> None:
    store = Away()
    store.back = True
    appender = Appender(store.save)
    appender.keep_in(WaitingRows(tmp_path, 1))
    appender._background.error = StoreError("1 row for the table 'refused' are lost")
    with pytest.raises(StoreError, match="are lost"):
        appended(appender, 1)
    appender.close()
    assert store.rows == [{"n": 1}]


def test_the_newer_of_two_rows_with_a_number_counts(tmp_path: Path) -> None:
    waiting = WaitingRows(tmp_path, 1)
    large = "x" * 600_000
    for n in range(11):
        waiting.write(n + 1, "t", {"n": n, "text": large})
    waiting.write(2, "t", {"n": -1, "text": large})
    waiting.close()
    assert len(list(tmp_path.iterdir())) == 12
    assert WaitingRows(tmp_path, 1).left()[1].row["n"] == -1


def test_rows_that_cannot_be_saved_are_told_as_waiting_or_lost(tmp_path: Path) -> None:
    appender = Appender(Away().save)
    appender.keep_in(WaitingRows(tmp_path, 1))
    appended(appender, 1)
    appended(appender, 2)
    appender.append("u", {"not": "kept"})
    where = re.escape(str(tmp_path / "run-1.rows-*"))
    told = f"2 rows wait in {where} until the run is resumed; 1 row is lost: it is away"
    with pytest.raises(StoreError, match=told):
        appender.close()
    appender.close()
    assert len(WaitingRows(tmp_path, 1).left()) == 2


def test_rows_taken_during_a_failed_save_come_after_those_it_puts_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotcli.storage.store.background_writer.BATCH_AGE_S", 3600.0)
    store = Away()

    def save(table: str, rows: list[Mapping[str, Any]], last: int | None) -> None:
        if not store.back:
            appended(appender, 3)
        store.save(table, rows, last)

    appender = Appender(save)
    appender.keep_in(WaitingRows(tmp_path, 1))
    appended(appender, 1)
    appended(appender, 2)
    with pytest.raises(StoreUnreachableError):
        appender.flush()
    assert [one.number for one in WaitingRows(tmp_path, 1).left()] == [1, 2, 3]
    store.back = True
    appender.close()
    assert [row["n"] for row in store.rows] == [1, 2, 3]
