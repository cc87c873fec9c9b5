"""Ctrl-C: once stops the run cleanly, twice ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["Interrupts"]

CANCEL_EVERY_S = 0.2


class Interrupts:
    """While this is open, SIGINT, SIGTERM and SIGHUP (a closed terminal) set `stop`, and cancel
    what is running.

    A cancel that reaches the server between two statements does nothing, so it is repeated. The
    first signal also calls `on_first`, from another thread; the second calls `abort` and ends the
    process with code 130 without waiting for anything. Outside the main thread signals cannot be
    handled, and this does nothing.
    """

    def __init__(
        self,
        stop: threading.Event,
        cancel: Callable[[], None],
        abort: Callable[[], None] = lambda: None,
        on_first: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_first = on_first
        self._stop = stop
        self._cancel = cancel
        self._abort = abort
        self._left = threading.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self._stop.is_set():
            self._abort()
            os._exit(130)
        self._stop.set()
        threading.Thread(target=self._keep_cancelling, daemon=True).start()

    def _keep_cancelling(self) -> None:
        self._on_first()
        while not self._left.is_set():
            self._cancel()
            self._left.wait(CANCEL_EVERY_S)
