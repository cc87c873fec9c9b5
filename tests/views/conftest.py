"""Signals of a made-up run, clocks that stand still, and a terminal to look at."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console
from signal_maker import EPOCH, Clock, Make


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wall() -> Clock:
    return Clock(EPOCH)


@pytest.fixture
def terminal() -> Callable[..., Console]:
    """Makes a console over a buffer that behaves as a terminal of the given size."""

    def of_size(width: int = 80, height: int = 24, color: str | None = None) -> Console:
        return Console(
            file=io.StringIO(),
            width=width,
            height=height,
            force_terminal=True,
            color_system=color,  # type: ignore[arg-type]
            legacy_windows=False,
        )

    return of_size


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _no_color_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
