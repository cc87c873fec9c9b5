"""What a hint says about a name that nobody knows."""

from __future__ import annotations

from pilotcli.common.suggestions import did_you_mean


def test_the_nearest_name_or_a_few_are_named() -> None:
    names = [f"table_{number:03}" for number in range(300)]
    assert did_you_mean("tabel_299", names) == "Did you mean 'table_299'?"
    hint = did_you_mean("x", names, listed="There are")
    assert hint.startswith("There are: table_000, table_001, ")
    assert hint.endswith(" and 288 more.")
    assert did_you_mean("x", ["b", "a"]) == "Known: a, b."
    assert did_you_mean("x", []) == "Known: none."
