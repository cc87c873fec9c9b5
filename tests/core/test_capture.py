"""What drivers print, as signals."""

from __future__ import annotations

import sys

from pilotcli.capture import MAX_LINE, driver_output
from pilotcli.signals import Bus, DriverOutput, Signal


def test_lines_in_their_order_and_streams_back_as_they_were() -> None:
    heard: list[Signal] = []
    before = sys.stdout, sys.stderr
    with driver_output(Bus(heard.append)):
        print("one\ntwo")
        print("oh", file=sys.stderr)
        print("10 %\r20 %\r", end="")
        print("without an end", end="")
    assert (sys.stdout, sys.stderr) == before
    assert heard == [
        DriverOutput("one"),
        DriverOutput("two"),
        DriverOutput("oh", "stderr"),
        DriverOutput("without an end"),
    ]


def test_a_line_that_never_ends_is_passed_on() -> None:
    heard: list[Signal] = []
    with driver_output(Bus(heard.append)):
        print("x" * (MAX_LINE + 1))
        print()
        print("next")
    texts = [signal.text for signal in heard if isinstance(signal, DriverOutput)]
    assert [len(text) for text in texts] == [MAX_LINE + 1, 0, 4]
