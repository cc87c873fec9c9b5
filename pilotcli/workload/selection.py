"""Which queries of a workload are chosen: by labels, numbers, files and lines."""

from __future__ import annotations

import fnmatch
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import listed, plural
from pilotcli.common.suggestions import MOST_LISTED, nearest

_NUMBERS = re.compile(r"\s*\d+\s*(?:-\s*\d*\s*)?(?:,\s*\d+\s*(?:-\s*\d*\s*)?)*")
_IN_FILE = re.compile(r"(.+):(\d+)(?:-(\d+))?")
_NAMES_KEPT = 10_000
"""So many labels are kept to suggest one of them."""


class Selectable(Protocol):
    """A query, in a workload or in the journal."""

    @property
    def seq(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def sql(self) -> str: ...
    @property
    def file(self) -> str | None: ...
    @property
    def line(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """The queries that one of `select` names (all, if it is empty), without those that one of
    `exclude` names.

    A text is the first of these that fits a query: a label; numbers (`3`, `7-12`, `40-`, or several
    with commas); a pattern of labels (`hot-*`); a file or a pattern of files (`joins.sql`,
    `queries/*.sql`), also with a line or lines (`joins.sql:40`, `joins.sql:40-80`). If nothing
    fits, a text with commas is several texts.
    """

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.select or self.exclude)

    def __str__(self) -> str:
        """What is chosen, in words."""
        chosen = listed(self.select, MOST_LISTED) if self.select else "all"
        return f"{chosen} without {listed(self.exclude, MOST_LISTED)}" if self.exclude else chosen


def chosen_numbers(
    selection: Selection,
    queries: Iterable[Selectable],
    notify: Callable[[str], object] = lambda text: None,
) -> set[int]:
    """The numbers of those queries that `selection` chooses; each on its own, also in a block.

    `notify` receives each text that fits nothing. Raises `UsageError` if nothing is selected.
    """
    choice = Choice(selection)
    for query in sorted(queries, key=lambda query: query.seq):
        choice.add(query)
    selected, excluded = choice.marks(notify)
    return {seq for seq, (one, out) in enumerate(zip(selected, excluded, strict=True)) if one > out}


class Choice:
    """What a `Selection` chooses of the queries that are added, in the order of their numbers; ask
    when all are."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._select = [_Term(text) for text in selection.select]
        self._exclude = [_Term(text) for text in selection.exclude]
        self._labels: dict[str, None] = {}
        self._files: dict[str, None] = {}
        self._ends: dict[str | None, int] = {}
        """The line where the last query of each file ends."""
        self._all = bytearray(1)
        """A byte for each number, 1 where there is a query."""

    def add(self, query: Selectable) -> None:
        """Look at a query."""
        self._all.extend(bytes(query.seq - len(self._all) + 1))
        self._all[query.seq] = 1
        if len(self._labels) < _NAMES_KEPT:
            self._labels[query.label] = None
        if query.file is not None:
            self._files[query.file] = None
        lines = self._lines(query)
        for term in (*self._select, *self._exclude):
            term.add(query, lines)

    def _lines(self, query: Selectable) -> range:
        """The lines of a query in its file, with those of a comment above it."""
        if query.line is None:
            return range(0)
        above = self._ends.get(query.file, 0) + 1
        end = self._ends[query.file] = query.line + query.sql.count("\n")
        return range(min(above, query.line), end + 1)

    @property
    def total(self) -> int:
        """How many queries there are."""
        return sum(self._all)

    def marks(self, notify: Callable[[str], object]) -> tuple[bytearray, bytearray]:
        """Returns, a byte for each number, which queries are selected, and which are excluded.

        `notify` receives each text that fits nothing. Raises `UsageError` if nothing is selected.
        """
        selected = self._marked(self._select) if self._select else bytearray(self._all)
        excluded = self._marked(self._exclude)
        self._refuse_nothing(selected, excluded)
        for option, terms in (("--select", self._select), ("--exclude", self._exclude)):
            for text in _without_match(terms):
                notify(
                    f"{option} {text}: no query has such a label, number or file.{self._hint(text)}"
                )
        return selected, excluded

    def _marked(self, terms: Iterable[_Term]) -> bytearray:
        marks = bytearray(len(self._all))
        for term in terms:
            for seq in term.matches():
                marks[seq] = 1
        return marks

    def _refuse_nothing(self, selected: bytearray, excluded: bytearray) -> None:
        if any(mark and not out for mark, out in zip(selected, excluded, strict=True)):
            return
        unmatched = list(_without_match(self._select))
        if not self._select or not unmatched:
            raise UsageError(
                f"nothing is selected: {self.selection}",
                hint=f"All {plural(self.total, 'query is', 'queries are')} excluded.",
            )
        text = unmatched[0]
        raise UsageError(
            f"nothing is selected: no query has the label, number or file {text!r}",
            hint=self._hint(text).strip(),
        )

    def _hint(self, text: str) -> str:
        if _NUMBERS.fullmatch(text):
            return f" Numbers go up to {len(self._all) - 1}."
        known = [*self._labels, *map(_name, self._files)]
        match = nearest(text, known)
        if match is not None:
            return f" Did you mean {match!r}?"
        return f" Labels are {listed(list(self._labels), MOST_LISTED)}."


class _Term:
    """A text of a selection, and the numbers of the queries that it fits, in each meaning."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._pattern = re.compile(fnmatch.translate(text))
        self._spans = list(_spans(text))
        in_file = _IN_FILE.fullmatch(text)
        self._file, self._lines = text, range(0)
        if in_file is not None:
            self._file = in_file[1]
            self._lines = range(int(in_file[2]), int(in_file[3] or in_file[2]) + 1)
        self._fits_file: dict[str, bool] = {}
        self._found: tuple[array[int], ...] = tuple(array("q") for _ in range(4))
        self.parts: Sequence[_Term] = ()
        if "," in text and not self._spans:
            self.parts = [_Term(part) for part in map(str.strip, text.split(",")) if part]

    def add(self, query: Selectable, lines: range) -> None:
        labels, numbers, patterns, files = self._found
        if query.label == self.text:
            labels.append(query.seq)
        elif any(query.seq in span for span in self._spans):
            numbers.append(query.seq)
        elif self._pattern.match(query.label):
            patterns.append(query.seq)
        elif query.file is not None and self._in_file(query.file, lines):
            files.append(query.seq)
        for part in self.parts:
            part.add(query, lines)

    def matches(self) -> Iterable[int]:
        """The numbers of the queries that the text fits in its first meaning that has any."""
        found = next((found for found in self._found if found), None)
        if found is not None:
            return found
        return (seq for part in self.parts for seq in part.matches())

    def unmatched(self) -> list[str]:
        """The text, or its parts, that fit nothing."""
        if any(self._found):
            return []
        missing = [text for part in self.parts for text in part.unmatched()]
        return missing if self.parts else [self.text]

    def _in_file(self, file: str, lines: range) -> bool:
        fits = self._fits_file.get(file)
        if fits is None:
            fits = self._fits_file[file] = PurePath(file).match(self._file)
        if not fits or not self._lines:
            return fits
        return lines.start < self._lines.stop and self._lines.start < lines.stop


def _without_match(terms: Iterable[_Term]) -> Iterable[str]:
    return (text for term in terms for text in term.unmatched())


def _spans(text: str) -> Iterable[range]:
    """The ranges of numbers that a text like `3,7-12,40-` has; none for other texts."""
    if not _NUMBERS.fullmatch(text):
        return
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        end = int(last) if last else (2**62 if dash else int(first))
        yield range(int(first), end + 1)


def _name(file: str) -> str:
    return PurePath(file).name
