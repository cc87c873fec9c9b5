"""The rows that a scheduler gives are used like the DataFrame that they stand for."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pandas
import pytest

from pilotcli.compat.pilotscope.records import Records
from pilotcli.databases.protocols import Rows

FRAME = pandas.DataFrame({"a": [1, 2], "b": [3, 4]})


@pytest.fixture
def records() -> Records:
    return Records(Rows([(1, 3), (2, 4)], description=[("a",), ("b",)]))


@pytest.mark.parametrize(
    "use",
    [
        lambda one: copy.copy(one),
        lambda one: copy.deepcopy(one),
        lambda one: pickle.loads(pickle.dumps(one)),
        lambda one: pandas.concat([one, one]),
        lambda one: one + one,
        lambda one: 2 * one,
        lambda one: 10 - one,
        lambda one: one // 2,
        lambda one: one**2,
        lambda one: (one > 1) & (one < 4),
        lambda one: (one <= 2) | (one >= 4),
        lambda one: ~(one == one),
        lambda one: one != 1,
        lambda one: abs(-one),
        lambda one: round(one / 3, 2),
    ],
)
def test_it_gives_what_the_frame_gives(records: Records, use: Callable[[Any], Any]) -> None:
    pandas.testing.assert_frame_equal(use(records), use(FRAME))


def test_a_copy_is_apart(records: Records) -> None:
    for copied in (copy.deepcopy(records), copy.copy(records)):
        copied["a"] = 0
        assert type(copied) is pandas.DataFrame
    assert list(records["a"]) == [1, 2]


def test_columns_are_renamed_and_deleted(records: Records) -> None:
    records.columns = ["x", "y"]
    del records["x"]
    assert list(records) == ["y"] and list(records["y"]) == [3, 4]
