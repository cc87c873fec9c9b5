"""Rows that are kept in files until the store has them: none is lost, and none comes twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.records import JsonText
from pilotcli.storage.store.background_writer import Appender
from pilotcli.storage.store.data_manager import DataManager
from pilotcli.storage.store.unsaved_rows import WaitingRow, WaitingRows

SIZE_BYTES = 1 << 20
"""Of a file."""


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is saved but by `flush` and `close`."""
    monkeypatch.setattr("pilotcli.storage.store.background_writer.BATCH_AGE_S", 3600.0)


def left(folder: Path) -> list[int]:
    """The numbers of the rows that a kill would leave now."""
    return [row.number for row in WaitingRows(folder, 1).left()]


def test_a_row_whose_file_the_store_has_caught_up_with_is_kept_once_more(tmp_path: Path) -> None:
    saved: list[Mapping[str, Any]] = []
    appender = Appender(lambda table, rows, last: saved.extend(rows))
    appender.keep_in(WaitingRows(tmp_path, 1))
    appender.append("t", {"n": 1}, 1, appender.keep("t", {"n": 1}, 1))
    file = appender.keep("t", {"n": 2}, 2)
    appender.flush()  # row 2 is not appended yet, and its file is forgotten
    assert left(tmp_path) == []
    appender.append("t", {"n": 2}, 2, file)
    assert left(tmp_path) == [2]
    appender.close()
    assert saved == [{"n": 1}, {"n": 2}]
    assert list(tmp_path.iterdir()) == []


def test_rows_of_every_table_are_saved_once(tmp_path: Path) -> None:
    saved: list[tuple[str, list[Any]]] = []
    appender = Appender(lambda table, rows, last: saved.append((table, list(rows))))
    for number in range(4):
        appender.append("ab"[number % 2], {"n": number})
    appender.flush()
    appender.flush()
    appender.close()
    assert saved == [("a", [{"n": 0}, {"n": 2}]), ("b", [{"n": 1}, {"n": 3}])]


def test_a_file_is_filled_to_its_last_byte(tmp_path: Path) -> None:
    files = set()
    for chars in range(SIZE_BYTES // 2 - 100, SIZE_BYTES // 2):
        waiting = WaitingRows(tmp_path, 1)
        waiting.write(1, "t", {"text": "x" * (SIZE_BYTES // 2)})
        waiting.write(2, "t", {"text": "x" * chars})
        assert left(tmp_path) == [1, 2], chars
        paths = list(tmp_path.iterdir())
        assert {path.stat().st_size for path in paths} == {SIZE_BYTES}
        files.add(len(paths))
        waiting.forget(waiting.cut())
        waiting.close()
        assert list(tmp_path.iterdir()) == []
    assert files == {1, 2}


def test_rows_that_were_written_again_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    waiting = WaitingRows(tmp_path, 1)
    for number in (2, 3, 1):
        waiting.write(number, "t", {"n": number})
    waiting.close()
    assert left(tmp_path) == [1, 2, 3]


def test_json_stays_json(tmp_path: Path) -> None:
    waiting = WaitingRows(tmp_path, 1)
    waiting.write(1, "t", {"plan": JsonText('{"a": 1.50}'), "text": '{"a": 1.50}'})
    waiting.close()
    (row,) = WaitingRows(tmp_path, 1).left()
    assert {name: type(value) for name, value in row.row.items()} == {
        "plan": JsonText,
        "text": str,
    }


def test_a_resumed_run_saves_the_rows_that_the_store_has_not(
    manager: DataManager, tmp_path: Path
) -> None:
    manager.keep_rows(WaitingRows(tmp_path, 1), "1")
    for number in (1, 2, 3):
        row = {"n": number}
        manager.append("t", row, number=number, file=manager.keep("t", row, number))
    manager.flush()
    rows = [WaitingRow(number, "t", {"n": number}) for number in range(1, 7)]
    other = WaitingRow(4, "another table", {"n": 4})
    # Query 6 has not ended for the journal: it runs again, and so brings its row again.
    assert manager.append_kept([*rows, other], "t", 5) == 2
    assert list(manager.read_all("t")["n"]) == [1, 2, 3, 4, 5]
    assert manager.append_kept(rows, "t", 5) == 0


def test_a_repeated_firing_reads_again_all_that_it_had_read(manager: DataManager) -> None:
    manager.save_data("t", {"n": 1})
    manager.begin_firing("first", resumed=False)
    assert list(manager.read_update("t")["n"]) == [1]
    manager.save_data("t", {"n": 2})
    manager.begin_firing("second", resumed=False)
    assert list(manager.read_update("t")["n"]) == [2]
    manager.save_data("t", {"n": 3})
    assert list(manager.read_update("t")["n"]) == [3]
    manager.begin_firing("second", resumed=True)
    assert list(manager.read_update("t")["n"]) == [2, 3]


def test_a_reader_goes_on_at_the_last_key(manager: DataManager) -> None:
    manager.save_data_batch("t", [{"n": n} for n in range(5)])
    with pytest.raises(Exception, match="nothing was saved"):
        manager.save_data_batch("t", [{"n": "no number"}])  # takes no key
    manager.read_update("t", reader="a")
    manager.save_data_batch("t", [{"n": n} for n in range(5, 8)])
    assert list(manager.read_update("t", reader="a")["n"]) == [5, 6, 7]
    manager.save_data("t", {"n": 8})
    assert list(manager.read_update("t", reader="a")["n"]) == [8]
    assert list(manager.read_all("t", reader="a")["n"]) == list(range(9))
