"""What users call runs: names, tags and notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.common.errors import UsageError

LONGEST = 100
"""The most characters of a name or a tag."""
LONGEST_NOTE = 10_000
NEWEST = "last"
"""What stands for the newest run, wherever a run is named."""

# A name has no colon, which separates it from a folder, and no slash.
_NAME = re.compile(r"\w[\w.+=@-]*")
_TAG = re.compile(r"[^\s\"\\,]+")


@dataclass(frozen=True, slots=True)
class RunLabels:
    """What the user calls a run: its name, its tags, and a note about it."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None

    def added_to(self, before: RunLabels) -> RunLabels:
        """The labels of a run that had those `before`: its tags stay."""
        tags = tuple(dict.fromkeys((*before.tags, *self.tags)))
        return RunLabels(self.name or before.name, tags, self.note or before.note)


NO_LABELS = RunLabels()


def checked_labels(name: str | None, tags: Sequence[str], note: str | None) -> RunLabels:
    """Returns them as labels, each tag once. Raises `UsageError` for one that cannot be used."""
    if name is not None:
        _check_name(name)
    for tag in tags:
        if not _TAG.fullmatch(tag) or not tag.isprintable() or len(tag) > LONGEST:
            raise UsageError(
                f"{tag!r} cannot be a tag",
                hint=f"Write up to {LONGEST} characters without blanks, commas, quotes and "
                "backslashes.",
            )
    if note is not None and len(note) > LONGEST_NOTE:
        raise UsageError(
            f"the note has {len(note):,} characters", hint=f"Write at most {LONGEST_NOTE:,}."
        )
    return RunLabels(name, tuple(dict.fromkeys(tags)), note)


def is_run_name(text: str) -> bool:
    """Whether `text` can be the name of a run: it is no number, and no other word for a run."""
    fits = _NAME.fullmatch(text) and len(text) <= LONGEST
    return bool(fits) and not text.isdecimal() and text != NEWEST


def _check_name(name: str) -> None:
    if not is_run_name(name):
        why = " (a run's number)" if name.isdecimal() else ""
        raise UsageError(
            f"{name!r} cannot be the name of a run{why}",
            hint=f"Write up to {LONGEST} letters, digits and . + = @ _ -, other than a number and "
            f"the word {NEWEST}.",
        )
