"""What drivers print, as signals."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from pilotcli.common.records import EventKind
from pilotcli.common.signals import Bus, DriverOutput, EventTriggered, Notice, Signal
from pilotcli.run.driver_output import MAX_LINE, driver_output, process_output


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


def test_what_an_event_leaves_unended_ends_with_it() -> None:
    heard: list[Signal] = []
    bus = Bus(heard.append)
    with driver_output(bus):
        print("no end", end="")
        bus.emit(EventTriggered("E", EventKind.QUERY_FINISH, "interval", 1, "ok", 0.1, 1))
        print("next")
    texts = [signal.text for signal in heard if isinstance(signal, DriverOutput)]
    assert texts == ["no end", "next"]


def test_what_pilot_logs_is_no_output_of_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Signal] = []
    pilots = logging.getLogger("pilotcli")
    handlers = pilots.handlers[:]
    monkeypatch.setattr(pilots, "propagate", False)  # as the command `pilot` has it
    with driver_output(Bus(heard.append)):
        logging.getLogger("pilotcli.storage").warning("pilot's: %s", "x")
        logging.getLogger("pilotcli.storage").error("bad")
    assert heard == [Notice("warning", "pilot's: x"), Notice("error", "bad")]
    assert pilots.handlers == handlers


def test_what_programs_of_a_driver_write_is_heard_too() -> None:
    heard: list[Signal] = []
    before = os.fstat(1), os.fstat(2)
    with process_output(Bus(heard.append)):
        subprocess.run(["/bin/sh", "-c", "echo out; echo err >&2; printf 'no end'"], check=True)
    assert (os.fstat(1), os.fstat(2)) == before
    assert sorted((one.stream, one.text) for one in heard if isinstance(one, DriverOutput)) == [
        ("stderr", "err"),
        ("stdout", "no end"),
        ("stdout", "out"),
    ]
