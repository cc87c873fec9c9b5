"""Ctrl-C: once stops the run cleanly, twice ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pilotcli.common.debugger import current

CANCEL_EVERY_S = 0.2


@contextmanager
def interrupts(
    stop: threading.Event,
    cancel: Callable[[], None],
    abort: Callable[[], None],
    on_first: Callable[[], None],
) -> Iterator[None]:
    """While this is open, SIGINT, SIGTERM and SIGHUP (a closed terminal) set `stop`, and cancel
    what is running.

    A cancel that reaches the server between two statements does nothing, so it is repeated. The
    first signal also calls `on_first`, from another thread; the second calls `abort` and ends the
    process with code 130 at once. While a debugger prompts, Ctrl-C only says how to leave it.
    SIGHUP that is ignored, as by nohup, stays so. Outside the main thread signals cannot be
    handled, and this does nothing.
    """
    left = threading.Event()

    def keep_cancelling() -> None:
        on_first()
        while not left.is_set():
            cancel()
            left.wait(CANCEL_EVERY_S)

    def received(number: int, _: object) -> None:
        debugger = current()
        if number == signal.SIGINT and debugger is not None and debugger.active:
            debugger.say_keys()
            return
        if stop.is_set():
            abort()
            if debugger is not None:
                debugger.restore_modes()
            os._exit(130)
        stop.set()
        threading.Thread(target=keep_cancelling, daemon=True).start()

    before = {}
    if threading.current_thread() is threading.main_thread():
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        hangup = () if ignored else (signal.SIGHUP,)
        for number in (signal.SIGINT, signal.SIGTERM, *hangup):
            before[number] = signal.signal(number, received)
    try:
        yield
    finally:
        left.set()
        for number, handler in before.items():
            signal.signal(number, handler)
