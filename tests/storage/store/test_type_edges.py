"""Values at the edges of their types, and columns at the edges of theirs."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from pilotcli.storage.store.column_types import Kind, encoded
from pilotcli.storage.store.data_manager import DataManager


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, Kind.BOOL),
        (2**63 - 1, Kind.INT),
        (2**63, Kind.BIG_INT),
        (-(2**63), Kind.INT),
        (-(2**63) - 1, Kind.BIG_INT),
        (10**1000 - 1, Kind.BIG_INT),
        (1.0, Kind.FLOAT),
        (dt.datetime(2026, 1, 1), Kind.TIMESTAMP),
        (dt.date(2026, 1, 1), Kind.DATE),
        (None, Kind.EMPTY),
    ],
)
def test_the_narrowest_type_that_holds_a_value(value: Any, kind: Kind) -> None:
    assert encoded([value])[0] is kind
    assert encoded([value, None])[0] is kind


@pytest.mark.parametrize("value", [2**63 - 1, 2**63, -(2**63) - 1, 10**1000 - 1, True])
def test_it_is_stored(manager: DataManager, value: int) -> None:
    manager.save_data("t", {"x": value})
    (found,) = manager.read_all("t")["x"]
    assert found == value
    assert isinstance(found, (bool, int)) or type(found).__name__ in ("bool", "int64")


def test_doubles_keep_their_digits_in_a_column_that_becomes_numeric(manager: DataManager) -> None:
    value = 0.1 + 0.2  # 0.30000000000000004: a cast to numeric has 15 digits
    manager.save_data("t", {"x": value})
    manager.save_data("t", {"x": Decimal("1.5")})
    assert [Decimal(repr(value)), Decimal("1.5")] == list(manager.read_all("t")["x"])


def test_a_column_keeps_its_type_where_a_batch_has_no_value(manager: DataManager) -> None:
    manager.save_data("t", {"x": 0.5, "day": dt.date(2026, 1, 1)})
    manager.save_data_batch("t", [{"x": None, "day": None}, {}])
    manager.save_data("t", {"x": 1.5, "day": dt.date(2026, 1, 2)})
    frame = manager.read_all("t")
    assert frame["x"].dtype == "float64"
    assert list(frame["day"].dropna()) == [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]
