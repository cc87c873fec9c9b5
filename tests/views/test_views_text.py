from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.common.quantities import MISSING, change, clock_time, duration, rate, size
from pilotcli.views.layout import Column, bar, table
from pilotcli.views.text import clean, clip, line_text, number, width, wrap_line


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("plain [red]text[/red]", "plain [red]text[/red]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bPsome string\x1b\\x", "x"),
        ("\x1bcreset", "reset"),
        ("a\nb\tc\r\nd", "a b c d"),
        ("bell\x07, back\x08, nul\x00, del\x7f", "bell, back, nul, del"),
        ("right\u202eto left\u200b", "rightto left"),
        ("half \ud83d a pair", "half  a pair"),
        ("naïve 東京 é", "naïve 東京 é"),
        (None, "None"),
    ],
)
def test_text_is_made_safe(given_: object, shown: str) -> None:
    assert clean(given_) == shown


@given(st.text(st.characters(codec=None)))
def test_no_control_character_survives(text: str) -> None:
    assert not {unicodedata.category(char) for char in clean(text)} & {"Cc", "Cs", "Zl", "Zp"}


@given(st.text(), st.integers(0, 40))
def test_clipped_text_fits(text: str, columns: int) -> None:
    text = clean(text)
    clipped = clip(text, columns)
    assert width(clipped) <= columns
    assert clipped == text or clipped.endswith("…") or columns == 0


def test_a_line_is_wrapped_between_words_and_keeps_its_styles() -> None:
    line = [("warning: ", "yellow"), ("6 queries are in both workloads /a/path/of/22/chars", "")]
    assert wrap_line(line, 20) == [
        [("warning: ", "yellow"), ("6 queries", "")],
        [("  are in both", "")],
        [("  workloads", "")],
        [("  /a/path/of/22/chars", "")],
    ]
    assert wrap_line([], 20) == [[]]


@given(st.lists(st.tuples(st.text(), st.sampled_from(["", "red"])), max_size=4), st.integers(1, 40))
def test_wrapping_loses_nothing_but_spaces(line: list[tuple[str, str]], columns: int) -> None:
    line = [(clean(text), style) for text, style in line]
    lines = wrap_line(line, columns)
    assert "".join("".join(map(line_text, lines)).split()) == "".join(line_text(line).split())
    for wrapped in lines:
        text = line_text(wrapped).rstrip()
        assert width(text) <= columns or len(text.split()) == 1


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.00 µs"),
        (0.00085, "850 µs"),
        (0.0009996, "1.00 ms"),
        (0.0123, "12.3 ms"),
        (0.9996, "1.00 s"),
        (3.214, "3.21 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.9, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (None, MISSING),
        (float("nan"), MISSING),
        (float("inf"), MISSING),
        (-1, MISSING),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_other_numbers() -> None:
    assert [clock_time(s) for s in (4.9, 751, 3723, None)] == ["0:04", "12:31", "1:02:03", MISSING]
    assert [size(b) for b in (0, 999, 14_200, 999_900, 1.3e9)] == [
        "0 B", "999 B", "14.2 kB", "1.00 MB", "1.30 GB",
    ]  # fmt: skip
    assert [rate(r) for r in (0.421, 7.34, 312.4, 18_204)] == ["0.42", "7.3", "312", "18,204"]
    assert [number(n) for n in (3.21456, 0.00012345, 12, "?\x1b[0m")] == [
        "3.215", "0.0001234", "12", "?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [(10, 8.8, "↓ 12 %"), (10, 10.34, "↑ 3.4 %"), (5, 5, "="), (0, 1, "↑"), (None, 1, ""),
     (1, float("nan"), ""), (1e-300, 1e300, "↑"), (-10, -5, "↑ 50 %")],
)  # fmt: skip
def test_changes_of_a_metric(before: float | None, after: float, shown: str) -> None:
    assert change(before, after) == shown


def test_a_table_cuts_what_is_flexible_and_then_leaves_columns_out() -> None:
    columns = (
        Column("name", least=6, flexible=True),
        Column("count", least=5, right=True),
        Column("extra", least=8, drop=1),
    )
    rows = [[("a long name indeed", ""), ("12", ""), ("more", "")]]

    def shown(limit: int) -> list[str]:
        return [line_text(line) for line in table(columns, rows, limit)]

    assert shown(80) == [
        "name                count  extra   ",
        "a long name indeed     12  more    ",
    ]
    assert shown(25) == ["name      count  extra   ", "a long …     12  more    "]
    assert shown(20) == ["name           count", "a long name …     12"]


@given(st.floats(), st.integers(0, 200))
def test_a_bar_has_its_width(share: float, columns: int) -> None:
    assert width(line_text(bar(share, columns))) == columns
