"""Does work in a thread, so that the main thread can receive Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from pilotcli.common.signals import Notice
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.run.interrupts import interrupts

T = TypeVar("T")


def run_in_thread(work: Callable[[], T], scheduler: PilotScheduler) -> T:
    """Returns what `work` returns, and raises what it raises; Ctrl-C stops `scheduler`."""
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as exc:  # noqa: BLE001 - raised again in the main thread
            failures.append(exc)

    def say() -> None:
        scheduler.bus.emit(Notice("warning", "stopping; Ctrl-C ends at once"))

    with interrupts(scheduler.stop, scheduler.cancel, lambda: None, say):
        thread = threading.Thread(target=body, name="pilot-work")
        thread.start()
        while thread.is_alive():
            thread.join(0.5)
    if failures:
        raise failures[0]
    return results[0]
