"""The notation of TPC-DS's parameters: constants that move alone, together or as a row."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest

from pilotcli.benchmarks.tpcds_draws import replaced
from pilotcli.benchmarks.tpcds_parameters import read_table


def drawn(line: str, sql: str, values: list[Any], seed: int = 1) -> str:
    (found,) = read_table(line)[1]
    return replaced(sql, [found], {found.domain: values}, random.Random(seed))


def test_a_constant_is_replaced_wherever_it_is() -> None:
    sql = "d_year = 1999 OR d_year=1999-1 OR d_month = 19990 OR x = 1.1999"
    assert drawn("1  years  1999", sql, [2002]) == (
        "d_year = 2002 OR d_year=2002-1 OR d_month = 19990 OR x = 1.1999"
    )


def test_what_is_beside_a_constant_tells_it_from_others() -> None:
    sql = "d_moy = 1\n AND d_dom =\n   1 AND d_dom = 11"
    assert drawn("1  days  d_dom = {1}", sql, [7]) == "d_moy = 1\n AND d_dom =\n   7 AND d_dom = 11"


def test_constants_that_move_together_keep_their_distance() -> None:
    sql = "BETWEEN '2000-02-28' AND '2000-03-29' OR d = '2000-01-29'"
    days = [date(1998, 1, 1) + timedelta(number) for number in range(1500)]
    text = drawn("1  days  2000-02-28 & 2000-03-29 & 2000-01-29", sql, days)
    first, second, third = (date.fromisoformat(part) for part in text.split("'")[1::2])
    assert first != date(2000, 2, 28)
    assert (second - first, first - third) == (timedelta(30), timedelta(30))
    assert drawn("1  n  > {8} & < {10}", "a > 8 AND a < 10", [20]) == "a > 20 AND a < 22"


def test_constants_in_a_list_are_all_different() -> None:
    sql = "state IN ('TX', 'OH', 'TX')"
    line = "1  states  IN ('{TX}', '{OH}', '{TX}')"
    for seed in range(20):
        states = drawn(line, sql, ["CA", "NY", "WA"], seed).split("'")[1::2]
        assert sorted(states) == ["CA", "NY", "WA"]
    few = drawn(line, sql, ["CA", "NY"]).split("'")[1::2]
    assert set(few) == {"CA", "NY"}


def test_rows_stay_together() -> None:
    sql = "category IN ('Men', 'Women') AND class IN ('shirts', 'dresses')"
    rows = [("Books", "arts"), ("Books", "travel"), ("Music", "rock")]
    text = drawn("1  rows  'Men' & 'shirts' | 'Women' & 'dresses'", sql, rows)
    categories, classes = text.split("'")[1:4:2], text.split("'")[5::2]
    assert sorted(categories) == ["Books", "Music"]
    assert set(zip(categories, classes, strict=True)) <= set(rows)


def test_digits_stand_for_all_constants_of_their_length() -> None:
    text = drawn("1  zips  '###'", "zip IN ('123', '456', '1234')", ["001", "002"])
    assert text in ("zip IN ('001', '002', '1234')", "zip IN ('002', '001', '1234')")


def test_an_apostrophe_in_a_value_is_doubled() -> None:
    assert drawn("1  counties  'Rush'", "county = 'Rush'", ["O'Brien"]) == "county = 'O''Brien'"


def test_lines_belong_to_the_numbers_before_them() -> None:
    table = read_table("1,3  years  1999\n   states  'TX'\n           | 'OH'\n2  days  8")
    assert [[parameter.domain for parameter in table[number]] for number in (1, 2, 3)] == [
        ["years", "states"],
        ["days"],
        ["years", "states"],
    ]
    assert len(table[1][1].values) == 2


@pytest.mark.parametrize("line", ["1  years  1998", "1  states  'Ohio'", "1  zips  '####'"])
def test_a_constant_that_is_not_in_the_text_is_an_error(line: str) -> None:
    with pytest.raises(LookupError):
        drawn(line, "d_year = 1999 AND state = 'OH'", ["1"])
