"""Rows go in and come back as what they were."""

from __future__ import annotations

import datetime as dt
import decimal
import logging
import math
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotcli.common.errors import StoreError
from pilotcli.storage.store.data_manager import DataManager

UTC = dt.timezone.utc
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (float, np.floating)):
        return (math.isnan(one) and math.isnan(other)) or one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def column(manager: DataManager, table: str, name: str = "v") -> list[Any]:
    return list(manager.read_all(table)[name])


def test_a_frame_has_the_rows_in_order_and_the_key_last(manager: DataManager) -> None:
    manager.save_data_batch("plans", [{"sql": "b", "cost": 2.5}, {"sql": "a", "cost": 1.0}])
    manager.save_data("plans", {"sql": "c", "cost": 3.0})
    frame = manager.read_all("plans")
    assert list(frame.columns) == ["sql", "cost", "pilot_data_id"]
    assert list(frame["sql"]) == ["b", "a", "c"]
    assert list(frame["pilot_data_id"]) == [1, 2, 3]
    assert str(frame["cost"].dtype) == "float64"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], None),
        ([1, -(2**63), 2**63 - 1], None),
        ([1, 2**63, -(10**30)], None),
        ([0.1, 1e308, 5e-324, math.inf, -math.inf, math.nan, -0.0], None),
        ([decimal.Decimal("1.10"), decimal.Decimal("-100.000"), decimal.Decimal("NaN")], "str"),
        (["", "a\tb\nc\rd\\e\\N\\.", "'\"%s", "Grüße 🐘", "\\."], None),
        ([b"", b"\x00\xff\\"], None),
        ([dt.date(1, 1, 1), dt.date(9999, 12, 31)], None),
        ([dt.time(23, 59, 59, 999999)], None),
        ([dt.datetime(2024, 2, 29, 1, 2, 3, 456789)], None),
        ([dt.datetime(2024, 2, 29, tzinfo=IST), dt.datetime(1999, 1, 1, tzinfo=UTC)], None),
        ([dt.timedelta(days=-1, microseconds=1), dt.timedelta(days=3)], None),
        ([uuid.UUID(int=7)], None),
        ([[1, [2.5, None]], {"z": 1, "a": [True, "x\n\\"]}], None),
        ([[math.nan, -math.inf], {"deep": [{"x": math.inf}]}], None),
        ([np.int32(5), np.uint64(2**64 - 1)], [5, 2**64 - 1]),
        ([np.float32(0.5), np.float64(0.1), 2.0], [0.5, 0.1, 2.0]),
        ([np.bool_(True)], [True]),
        ([np.str_("x")], ["x"]),
        ([np.array([[1, 2], [3, 4]]), pd.Series([1.5, 2.5])], [[[1, 2], [3, 4]], [1.5, 2.5]]),
        ([{"a": np.float64(1.5), 3: np.int64(2)}], [{"a": 1.5, "3": 2}]),
        ([np.datetime64("2024-01-02T03:04:05.000006")], [dt.datetime(2024, 1, 2, 3, 4, 5, 6)]),
        (
            [pd.Timestamp("2024-01-02T03:04:05.123456789")],
            [dt.datetime(2024, 1, 2, 3, 4, 5, 123456)],
        ),
        ([np.timedelta64(90, "s"), pd.Timedelta("1us")], None),
    ],
)
def test_values_come_back_as_they_were(
    manager: DataManager, values: list[Any], expected: Any
) -> None:
    manager.save_data_batch("t", [{"v": value} for value in values])
    got = column(manager, "t")
    if expected == "str":
        assert list(map(str, got)) == list(map(str, values))
    else:
        assert all(map(same, expected or values, got)), got


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT, np.datetime64("NaT", "s")])
def test_missing_values_are_null(manager: DataManager, missing: Any) -> None:
    manager.save_data_batch("t", [{"a": 1, "v": missing}, {"a": 2}])
    assert manager.read_all("t")["v"].isna().all()


def test_integers_with_gaps_keep_their_digits(manager: DataManager) -> None:
    manager.save_data_batch("t", [{"small": 1, "large": 2**53 + 1}, {"small": None, "large": None}])
    frame = manager.read_all("t")
    assert str(frame["small"].dtype) == "float64"
    assert frame["large"][0] == 2**53 + 1


def test_columns_join_and_numbers_widen(manager: DataManager) -> None:
    manager.save_data("t", {"n": 1})
    manager.save_data("t", {"n": 2**70, "new": "x"})
    assert column(manager, "t", "n") == [1, 2**70]
    manager.save_data("t", {"n": 0.5})
    assert column(manager, "t", "n") == [1.0, float(2**70), 0.5]
    manager.save_data("t", {"n": decimal.Decimal("0.1")})
    assert list(map(str, column(manager, "t", "n")))[-2:] == ["0.5", "0.1"]
    assert column(manager, "t", "new") == [None, "x", None, None]


def test_a_column_without_values_takes_any_type(manager: DataManager) -> None:
    manager.save_data("t", {"v": None})
    manager.save_data("t", {"v": [1, 2]})
    assert column(manager, "t") == [None, [1, 2]]


def test_a_type_that_does_not_fit_saves_nothing(manager: DataManager) -> None:
    manager.save_data("t", {"n": 1})
    with pytest.raises(StoreError, match=r"column 'n' of the table 't' is bigint.*bring text"):
        manager.save_data_batch("t", [{"n": None, "extra": 1}, {"n": "three"}])
    with pytest.raises(StoreError, match=r"column 'n' .* holds (text and bigint|bigint and text)"):
        manager.save_data_batch("t", [{"n": 2}, {"n": "three"}])
    frame = manager.read_all("t")
    assert list(frame["n"]) == [1]
    assert "extra" not in frame


def test_a_late_misfit_in_a_long_batch_saves_nothing(manager: DataManager) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"n": number} for number in range(5000))
        yield {"n": "five thousand"}

    with pytest.raises(StoreError, match=r"text and bigint|bigint and text"):
        manager.save_data_batch("t", rows())
    assert not manager.exist_table("t")


def test_a_generator_that_raises_saves_nothing_and_may_use_the_store(manager: DataManager) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"n": 1}
        manager.save_data("log", {"at": 1})
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        manager.save_data_batch("t", rows())
    assert not manager.exist_table("t")
    assert manager.row_count("log") == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"v": "a\0b"}, "NUL"),
        ({"v": "\ud800"}, "no valid Unicode"),
        ({"v": object()}, "value of type object"),
        ({"v": {1, 2}}, "value of type set"),
        ({"v": [{1, 2}]}, "what JSON cannot: a value of type set"),
        ({"v": 10**1001}, "more than 1000 digits"),
        ({"pilot_data_id": 5}, "own key"),
        ({"x" * 64: 1}, "too long: 64 bytes"),
        ({"": 1}, "cannot be the name"),
        ({7: 1}, "cannot be the name"),
        ("text", "is a str, not a dict"),
    ],
)
def test_what_cannot_be_stored_is_told(manager: DataManager, row: Any, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        manager.save_data("t", row)
    assert not manager.exist_table("t")


@pytest.mark.parametrize("name", ['a"b', "Ünïcode 🐘", "select", "a;drop table x", "%s", "A.b"])
def test_names_are_taken_as_they_are(manager: DataManager, name: str) -> None:
    manager.save_data_batch(name, [{name: 1, name.upper() + "_": 2}])
    assert list(manager.read_all(name)[name]) == [1]
    manager.remove_table_and_tracker(name)
    assert not manager.exist_table(name)


def test_nothing_saved_makes_no_table(manager: DataManager) -> None:
    manager.save_data_batch("t", [])
    manager.save_data("t", {})
    assert not manager.exist_table("t")


def test_a_missing_table_reads_empty_and_names_the_nearest(
    manager: DataManager, caplog: pytest.LogCaptureFixture
) -> None:
    manager.save_data("latency", {"v": 1})
    with caplog.at_level(logging.WARNING):
        assert manager.read_update("latencies").empty
    assert "no table 'latencies'" in caplog.text
    assert "'latency'" in caplog.text


def test_read_update_gives_what_came_since(manager: DataManager, config: Any) -> None:
    manager.save_data_batch("t", [{"v": 1}, {"v": 2}])
    assert list(manager.read_all("t")["v"]) == [1, 2]
    manager.save_data("t", {"v": 3})
    assert list(manager.read_update("t")["v"]) == [3]
    empty = manager.read_update("t")
    assert len(empty) == 0
    assert list(empty.columns) == ["v", "pilot_data_id"]
    manager.save_data("t", {"v": 4})
    with DataManager(config) as later:  # the place is kept in the store
        assert list(later.read_update("t")["v"]) == [4]
        assert list(later.read_update("t", reader="other")["v"]) == [1, 2, 3, 4]


def test_a_removed_table_is_read_from_its_beginning(manager: DataManager) -> None:
    manager.save_data_batch("t", [{"v": 1}, {"v": 2}])
    manager.read_all("t")
    manager.remove_table_and_tracker("t")
    manager.remove_table_and_tracker("t")
    manager.save_data("t", {"v": "now a text"})
    assert list(manager.read_update("t")["v"]) == ["now a text"]


def test_appended_rows_are_seen_by_the_next_read(manager: DataManager) -> None:
    for number in range(1200):
        manager.append("t", {"v": number})
    assert list(manager.read_update("t")["v"]) == list(range(1200))
    manager.append("t", {"v": 7})
    assert manager.row_count("t") == 1201


def test_an_append_that_fails_is_told_by_the_next_call(manager: DataManager) -> None:
    manager.save_data("t", {"v": 1})
    manager.append("t", {"v": "x"})
    manager.append("u", {"v": "x"})
    with pytest.raises(StoreError, match="1 row for the table 't' is lost"):
        manager.flush()
    assert manager.row_count("u") == 1


def test_rows_survive_a_restart_of_the_server(manager: DataManager, server: Any) -> None:
    manager.save_data("t", {"v": 1})
    server.stop()
    manager.append("t", {"v": 2})
    with pytest.raises(StoreError) as failed:
        manager.flush()
    # The connection was lost, or, if the thread has noticed that first, cannot be opened again.
    assert "server run" in (failed.value.hint or "")
    server.start()
    manager.save_data("t", {"v": 3})
    manager.flush()
    assert sorted(column(manager, "t")) == [1, 2, 3]


def test_rows_that_cannot_be_saved_at_the_end_are_counted(config: Any) -> None:
    config.store_dsn = "host=/nonexistent dbname=x user=x"
    manager = DataManager(config)
    manager.append("t", {"v": 2})
    with pytest.raises(StoreError, match="1 row is lost"):
        manager.close()


def test_a_closed_manager_says_so(manager: DataManager) -> None:
    manager.close()
    with pytest.raises(StoreError, match="was closed"):
        manager.save_data("t", {"v": 1})
    with pytest.raises(StoreError, match="was closed"):
        manager.append("t", {"v": 1})


def test_a_foreign_table_is_left_alone(manager: DataManager, server: Any, database: str) -> None:
    server.sql("CREATE TABLE mine (v int)", database)
    with pytest.raises(StoreError, match="was not made by pilot"):
        manager.save_data("mine", {"v": 1})
    with pytest.raises(StoreError, match="was not made by pilot"):
        manager.remove_table_and_tracker("mine")
    with pytest.raises(StoreError, match="store's own"):
        manager.save_data("pilot_visits", {"v": 1})


def test_a_table_of_narrower_types_is_widened(
    manager: DataManager, server: Any, database: str
) -> None:
    server.sql(
        "CREATE TABLE t (n int, x real, s varchar(5), j jsonb, "
        "pilot_data_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
        database,
    )
    manager.save_data("t", {"n": 2**40, "x": 0.1, "s": "abc", "j": {"a": 1}})
    row = manager.read_all("t").iloc[0]
    assert (row["n"], row["x"], row["s"], row["j"]) == (2**40, 0.1, "abc", {"a": 1})
    with pytest.raises(StoreError, match="value too long"):
        manager.save_data("t", {"s": "abcdef"})


def test_no_permission_is_told(
    manager: DataManager, server: Any, database: str, config: Any
) -> None:
    server.sql("CREATE ROLE guest LOGIN", database)
    try:
        config.store_dsn = server.dsn(database).replace("user=postgres", "user=guest")
        server.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database)
        with DataManager(config) as guest, pytest.raises(StoreError) as failed:
            guest.save_data("t", {"v": 1})
        assert "permission denied" in failed.value.message
        assert "GRANT" in (failed.value.hint or "")
    finally:
        server.sql("DROP ROLE guest", database)


def test_a_reader_sees_each_row_of_many_writers_once(manager: DataManager, config: Any) -> None:
    writers, each = 4, 40
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def write(writer: int) -> None:
        with DataManager(config) as own:
            for number in range(each):
                rows = [{"writer": writer, "number": number * 3 + part} for part in range(3)]
                own.save_data_batch("t", rows)

    def read() -> None:
        with DataManager(config) as own:
            last = False
            while not last:
                last = done.is_set()
                frame = own.read_update("t")
                if len(frame):
                    seen.extend(zip(frame["writer"], frame["number"], strict=True))

    reader = threading.Thread(target=read)
    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in [reader, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert len(seen) == writers * each * 3
    assert set(seen) == {(w, n) for w in range(writers) for n in range(each * 3)}
    for writer in range(writers):
        assert [n for w, n in seen if w == writer] == list(range(each * 3))


def test_a_writer_that_has_not_committed_holds_the_keys_after_it(
    manager: DataManager, config: Any, server: Any, database: str
) -> None:
    """With keys that were given out before the commits, the reader would skip the slow row."""
    import psycopg2

    from pilotcli.storage.store import tables
    from pilotcli.storage.store.copy_batch import Batch

    manager.save_data("t", {"v": 0})
    manager.read_all("t")
    slow = psycopg2.connect(server.dsn(database))
    with slow.cursor() as cursor, Batch("t", [{"v": 1}]) as batch:
        tables.write(cursor, batch)
        fast = threading.Thread(target=manager.save_data, args=("t", {"v": 2}))
        fast.start()
        with DataManager(config) as reader:
            assert len(reader.read_update("t")) == 0
            slow.commit()
            fast.join()
            assert list(reader.read_update("t")["v"]) == [1, 2]
    slow.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4
        )
    ),
    max_leaves=10,
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
columns = st.one_of(
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.integers(-(10**40), 10**40)),
    st.lists(st.none() | texts),
    st.lists(st.none() | st.binary()),
    st.lists(st.floats()),
    st.lists(st.none() | st.dates()),
    st.lists(st.none() | st.times()),
    st.lists(st.none() | st.uuids()),
    st.lists(st.none() | st.decimals(allow_infinity=False, allow_nan=False)),
    st.lists(st.none() | st.lists(json_values) | st.dictionaries(texts, json_values)),
)


@pytest.mark.slow
@settings(max_examples=80)
@given(values=columns)
def test_any_values_come_back(manager: DataManager, values: list[Any]) -> None:
    manager.remove_table_and_tracker("h")
    manager.save_data_batch("h", [{"v": value, "n": 1} for value in values])
    frame = manager.read_all("h")
    got = list(frame["v"]) if len(frame) else []
    assert len(got) == len(values)
    for one, other in zip(values, got, strict=True):
        assert pd.isna(other) if one is None else same(one, other), (one, other)


moments = st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1))
zones = st.integers(-12, 12).map(lambda hours: dt.timezone(dt.timedelta(hours=hours)))
span = dt.timedelta(days=90_000)


@settings(max_examples=40)
@given(
    values=st.lists(moments, min_size=1)
    | st.lists(st.builds(lambda one, zone: one.replace(tzinfo=zone), moments, zones), min_size=1)
    | st.lists(st.timedeltas(-span, span), min_size=1)
)
def test_any_times_come_back(manager: DataManager, values: list[Any]) -> None:
    manager.remove_table_and_tracker("h")
    manager.save_data_batch("h", [{"v": value} for value in values])
    assert column(manager, "h") == values


@pytest.mark.slow
def test_a_long_generator_takes_little_memory(config: Any) -> None:
    """300,000 rows would take over 150 MB as Python dicts."""
    program = f"""
import resource
from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.storage.store.data_manager import DataManager
config = PostgreSQLConfig(dsn="")
config.store_dsn = {config.store_dsn!r}
with DataManager(config) as manager:
    manager.save_data("t", {{"n": 0, "text": "first", "x": 0.0}})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = ({{"n": n, "text": f"text {{n:060d}}", "x": n / 7}} for n in range(300_000))
    manager.save_data_batch("t", rows)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, manager.row_count("t"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    grown_kib, rows = map(int, done.stdout.split())
    assert rows == 300_001
    assert grown_kib < 60_000


def test_pandas_is_imported_by_reading_only() -> None:
    program = "import sys, pilotcli.storage.store.data_manager\nprint('pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False"]


def test_pilot_s_own_tables_are_those_of_the_page(
    manager: DataManager, server: Any, database: str
) -> None:
    manager.save_data("t", {"v": 1})
    manager.read_update("t")
    columns: dict[str, list[str]] = {}
    found = server.sql(
        "SELECT relname::text, attname::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE relkind = 'r' AND relname LIKE 'pilot%' AND attnum > 0 ORDER BY relname, attnum",
        database,
    )
    for table, column in found:
        columns.setdefault(table, []).append(column)
    page = (Path(__file__).parents[3] / "docs" / "config.md").read_text("utf-8")
    rows = re.findall(r"^\| `(pilot_\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    assert {table: re.findall(r"\w+", names) for table, names in rows} == columns
    for table in columns:
        with pytest.raises(StoreError, match="store's own"):
            manager.save_data(table, {"v": 1})
