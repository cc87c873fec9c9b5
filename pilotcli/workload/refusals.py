"""Collects what pilot refuses in a file, so that the user learns of all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pilotcli.common.errors import Problem, WorkloadError

MOST = 20
"""So many refused places are collected; a file with more of them is no workload."""


class Refusals:
    """What has been refused in one file, in the order of the file.

    From the first refusal on, the file is only read to find more: nothing of it may be replayed.
    """

    def __init__(self) -> None:
        self._errors: list[WorkloadError] = []
        self._too_many = False

    def __bool__(self) -> bool:
        return bool(self._errors)

    def add(self, error: WorkloadError) -> None:
        """Keep `error`; raises all of them when there are too many."""
        self._errors.append(error)
        if len(self._errors) >= MOST:
            self._too_many = True
            self.check()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Raises all refusals at the end; an error that ends the reading is the last of them."""
        try:
            yield
        except WorkloadError as error:
            if self._too_many:
                raise
            self._errors.append(error)
        self.check()

    def check(self) -> None:
        """Raise what was refused, if anything was."""
        if not self._errors:
            return
        first, *others = self._errors
        if not others:
            raise first
        parts = [str(Problem(error.message, hint=error.hint)) for error in self._errors]
        if self._too_many:
            parts.append(f"pilot stopped reading after {MOST} refused places")
        place = str(Problem("", first.file, first.line))
        raise WorkloadError(
            "\n".join(parts).removeprefix(place),
            file=first.file,
            line=first.line,
            hint=f"{len(self._errors)} places are refused: correct each, or remove it.",
        )
