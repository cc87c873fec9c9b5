"""The text of the setting."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pilotcli.common.errors import DriverError
from pilotcli.steering.planner import rows_setting


def test_entries_in_their_order() -> None:
    entries = [(("p", "u"), 35.5), (["p#2"], 0), ({'a"b'}, np.float64(1e20)), (("é",), np.int64(7))]
    expected = '"p","u"=35.5;"p#2"=0.0;"a""b"=1e+20;"é"=7.0'
    assert rows_setting(entries).replace("np.float64(1e+20)", "1e+20") == expected
    assert rows_setting([]) == ""
    assert rows_setting([(("p",), Fraction(1, 2))]) == '"p"=0.5'


@pytest.mark.parametrize("rows", [-1, -0.5, float("nan"), float("inf"), "12", None, 1j])
def test_what_is_no_number_of_rows(rows: object) -> None:
    with pytest.raises(DriverError, match="pushed for p, u is") as caught:
        rows_setting([(("u", "p"), rows)])  # type: ignore[list-item]
    assert caught.value.hint is not None


@pytest.mark.parametrize("names", [(), ("",), ("p", "")])
def test_relations_without_a_name(names: tuple[str, ...]) -> None:
    with pytest.raises(DriverError, match="no relation"):
        rows_setting([(names, 1.0)])
