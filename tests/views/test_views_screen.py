from __future__ import annotations

import io

from emulator import Terminal

from pilotcli.views.console import Writer
from pilotcli.views.screen import Screen


class Shown:
    """A screen, and the terminal that it paints on."""

    def __init__(self, columns: int = 20, rows: int = 6) -> None:
        self.stream = io.StringIO()
        self.screen = Screen(Writer(self.stream))
        self.terminal = Terminal(columns, rows)

    def paint(self, *lines: str, columns: int = 20, above: tuple[str, ...] = ()) -> list[str]:
        self.screen.paint(lines, [len(line) for line in lines], columns, above)
        return self.take()

    def take(self) -> list[str]:
        self.terminal.feed(self.stream.getvalue())
        self.stream.seek(0)
        self.stream.truncate()
        return self.terminal.lines()


def test_a_block_changes_grows_and_shrinks_in_place() -> None:
    shown = Shown()
    assert shown.paint("one", "two", "three") == ["one", "two", "three"]
    assert shown.paint("one", "2", "three") == ["one", "2", "three"]
    assert shown.paint("one", "2", "3", "four", "five") == ["one", "2", "3", "four", "five"]
    assert shown.paint("one", "2") == ["one", "2"]
    assert shown.paint("ONE", "2", "3") == ["ONE", "2", "3"]


def test_what_is_above_scrolls_away_and_is_kept() -> None:
    shown = Shown()
    shown.paint("block", "more")
    for number in range(10):
        shown.paint("block", "more", above=(f"line {number}",))
    assert shown.terminal.lines() == [*(f"line {n}" for n in range(10)), "block", "more"]


def test_a_long_line_above_is_wrapped_and_loses_nothing() -> None:
    shown = Shown()
    shown.paint("block")
    assert shown.paint("block", above=("x" * 45,)) == ["x" * 20, "x" * 20, "x" * 5, "block"]


def test_a_narrower_terminal_that_wraps_the_block_again_is_cleaned() -> None:
    shown = Shown(columns=10)
    # What a terminal of 20 columns shows of these lines once it is 10 wide and has wrapped them.
    shown.terminal.feed("a" * 18 + "\r\n" + "b" * 5 + "\r\n")
    shown.screen._lines = ["a" * 18, "b" * 5]
    shown.screen._widths, shown.screen._columns = [18, 5], 20
    assert shown.paint("short", columns=10) == ["short"]


def test_an_update_is_one_write() -> None:
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    screen = Screen(Writer(Stream()))
    screen.paint(["one", "two"], [3, 3], 20, ["above"])
    screen.paint(["one", "2"], [3, 1], 20)
    screen.paint(["one", "2"], [3, 1], 20)
    assert len(writes) == 2


def test_what_the_terminal_echoes_below_the_block_is_removed() -> None:
    shown = Shown()
    shown.paint("one", "two")
    shown.terminal.feed("^C")
    assert shown.paint("one", "2") == ["one", "2"]


def test_the_block_is_replaced_for_good() -> None:
    shown = Shown()
    shown.paint("one", "two", "three")
    shown.screen.leave(20, ["summary", "more"])
    assert shown.take() == ["summary", "more"]
    shown.screen.leave(20, [])
    assert shown.take() == ["summary", "more"]
