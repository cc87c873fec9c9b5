"""What drivers print while a command only looks at them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from pilotcli.common.signals import Bus, DriverOutput, Notice, Signal
from pilotcli.run.driver_output import driver_output
from pilotcli.views.console import Writer
from pilotcli.views.messages import output_text
from pilotcli.views.text import clean


@contextlib.contextmanager
def driver_lines() -> Iterator[None]:
    """While this is open, what Python code prints goes to standard error, without secrets and
    control characters. Standard output is for what was asked for."""
    writer = Writer(sys.stderr)

    def show(signal: Signal) -> None:
        if isinstance(signal, DriverOutput):
            writer.write(f"{output_text(signal)}\n")
        elif isinstance(signal, Notice):
            writer.write(f"{clean(signal.text)}\n")

    with driver_output(Bus(show)):
        yield
