"""How a call of a driver's code failed: its error, and the place in the driver's own files."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from pilotcli.common.errors import described

_PILOT = Path(__file__).parent.parent
_READY_MADE = _PILOT / "drivers"
_STANDARD_LIBRARY = Path(os.__file__).parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def failure_of(error: BaseException) -> str:
    """The place in the driver's files where `error` was raised, and the error in one line."""
    text = described(error)
    if isinstance(error, SystemExit):
        text = f"it called sys.exit({error.code!r})"
    return at_place(place_of(error), text)


def at_place(place: str | None, text: str) -> str:
    """`text` behind the place that it is about, where one is known."""
    return text if place is None else f"{place}: {text}"


def place_of(error: BaseException) -> str | None:
    """The innermost place in the user's own files where `error`, or what has caused it, was raised
    (`drivers.py:77`); None if no such file is part of it."""
    for raised in _chain(error):
        place = _place(
            (frame.f_code.co_filename, line)
            for frame, line in traceback.walk_tb(raised.__traceback__)
        )
        if place is not None:
            return place
    return None


def place_of_frame(frame: FrameType | None) -> str | None:
    """The innermost place in the user's own files that a running thread is in."""
    frames = [(at.f_code.co_filename, line) for at, line in traceback.walk_stack(frame)]
    return _place(reversed(frames))


def own_traceback(error: BaseException) -> str:
    """The traceback of `error` with the frames of the user's own files alone; whole where it has
    none."""
    shown = traceback.TracebackException.from_exception(error)
    _keep_own(shown, set())
    return "".join(shown.format())


def _keep_own(shown: traceback.TracebackException, seen: set[int]) -> None:
    seen.add(id(shown))
    own = [frame for frame in shown.stack if is_users(frame.filename)]
    if own:
        shown.stack = traceback.StackSummary.from_list(own)
    for other in (shown.__cause__, shown.__context__):
        if other is not None and id(other) not in seen:
            _keep_own(other, seen)


def is_users(file: str) -> bool:
    """Whether a file of Python code is the user's own: not pilot's, not installed, not Python's."""
    path = Path(file)
    return not (
        file.startswith("<")
        or path.is_relative_to(_PILOT)
        or path.is_relative_to(_STANDARD_LIBRARY)
        or _INSTALLED.intersection(path.parts)
    )


def _place(frames: Iterable[tuple[str, int]]) -> str | None:
    """The innermost of `frames` that are the user's or, without one, in a ready-made driver."""
    places = list(frames)
    own = [place for place in places if is_users(place[0])]
    own = own or [place for place in places if Path(place[0]).is_relative_to(_READY_MADE)]
    return f"{_shown(own[-1][0])}:{own[-1][1]}" if own else None


def _shown(file: str) -> str:
    path = Path(file)
    for folder in _folders():
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return file


def _folders() -> Sequence[Path]:
    """The current folder, and the one that holds pilot's packages."""
    with contextlib.suppress(OSError):  # the current folder may have been removed
        return (Path.cwd(), _PILOT.parent)
    return (_PILOT.parent,)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, and what has caused it."""
    seen: set[int] = set()
    raised: BaseException | None = error
    while raised is not None and id(raised) not in seen:
        seen.add(id(raised))
        yield raised
        raised = raised.__cause__
