"""A thread that writes collected entries in batches, so that their callers need not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pilotcli.common.errors import PilotError


class WriterThread:
    """Calls `write` every `every_s` seconds, and after `wake`, from `start` to `end`.

    A `PilotError` that `write` raises stays in `error` until the owner calls `raise_error`; until
    then the thread writes nothing. After an error of a class in `retried`, the thread tries again.

    The thread and its callers hold the lock `writing` while they write, so that a caller with the
    lock knows that earlier writes have ended.
    """

    def __init__(
        self,
        write: Callable[[], object],
        *,
        name: str,
        every_s: float,
        retried: tuple[type[PilotError], ...] = (),
    ) -> None:
        self.writing = threading.Lock()
        self.error: PilotError | None = None
        self.ended = False
        self._write = write
        self._every_s = every_s
        self._retried = retried
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._write_regularly, name=name, daemon=True)
        self._started = False

    def start(self) -> None:
        """Start the thread; safe to call twice."""
        if not self._started:
            self._started = True
            self._thread.start()

    def wake(self) -> None:
        """Make it write now."""
        self._wake.set()

    def raise_error(self) -> None:
        """Raise the waiting error, once."""
        error, self.error = self.error, None
        if error is not None:
            raise error

    def end(self) -> None:
        """Ask the thread to end without a last write; safe to call twice."""
        self.ended = True
        self._wake.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        if self._started:
            self._thread.join()

    def _write_regularly(self) -> None:
        while not self.ended:
            self._wake.wait(self._every_s)
            self._wake.clear()
            if self.error is not None:
                continue
            try:
                self._write()
            except self._retried:
                pass
            except PilotError as error:
                self.error = error
