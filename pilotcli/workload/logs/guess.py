"""The `log_line_prefix` of a log, guessed from its lines.

Each line gives a form: times, numbers and names become columns, the rest is text that all lines
have. The form that most lines have is taken; the values in its columns then say which they are.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from pilotcli.workload.logs.prefix import ESCAPE, TIME, column_pattern, entry_head, entry_pattern

_MOST_SAMPLES = 400
_MOST_FORMS = 40

_KNOWN = ("%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",)
"""Prefixes of some clouds that no rule below finds."""

_NUMBER = "%#"
_PERCENT = "\0"
"""A percent sign of the text itself, which no log has as this."""
_ZONE = r"(?:[A-Za-z]+|[+-]\d\d(?::?\d\d)?)"
_NAME = r"(?:\[unknown\]|[\w.\-]+)"
_ADDRESS = (
    r"(?:\[local\]|(?<![\w.])\d+\.\d+\.\d+\.\d+|(?<![\w:.])[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*)"
    r"(?:\(\d+\))?"
)
_VALUE = r"(?:\[unknown\]|[^,\s\])|;]*)"


def _after(keys: str, value: str) -> str:
    return "|".join(rf"(?<=\b{key}=){value}" for key in keys.split())


_RULES = (
    (rf"{TIME}\.\d+ {_ZONE}", "%m"),
    (rf"{TIME} {_ZONE}", "%t"),
    (r"\b1\d{9}\.\d{3}\b", "%n"),
    (r"\b[0-9a-f]{6,8}\.[0-9a-f]{1,8}\b", "%c"),
    (_after("user usr username", _VALUE), "%u"),
    (_after("db database dbname", _VALUE), "%d"),
    (
        _after(
            "app application application_name appname",
            r"(?:\[unknown\]|[^,\])|;]*?)(?=[,\])|;]|\s*$| \w+=)",
        ),
        "%a",
    ),
    (_after("client host remote", rf"(?:{_ADDRESS}|[^,\s\[\]|;:(]*(?:\(\d+\))?)"), "%r"),
    (_after("pid process", r"\d+"), "%p"),
    (r"(?<=\[)\d+(?=-1\])|(?<=\bline )\d+", "%l"),
    (rf"(?<![%\w]){_NAME}@(?!\d+\.\d+\.\d+\.\d|\[local){_NAME}(?!\w)", "%u@%d"),
    (_ADDRESS, "%r"),
    (r"(?<![%\w./])\d+/\d+(?![\w./])", "%v"),
    (r"(?<![%\w.])(?<![^\W\d]-)\d+(?![\w.])(?!-[^\W\d])", _NUMBER),
)
_SEVERAL = frozenset({"%t", "%r", _NUMBER})
_KEY = re.compile(r"(\b\w+=)")
_WORD = r"(?:\[unknown\]|[^\W\d][\w.\-]*|\d[\w.\-]*)"
_WORDS = re.compile(rf"(?<![\w\-]){_WORD}(?:(?: - | )(?:{_WORD}))*")
_COMMAND = r"(?:[A-Z]{2,}(?: [A-Z]+)*(?: waiting)?|idle(?: in transaction(?: \(aborted\))?)?)"


def guess_prefix(lines: Iterable[str]) -> str | None:
    """Returns the `log_line_prefix` of a log that has these lines; None for what is no log.

    `%?` in it stands for names that pilot cannot tell apart.
    """
    found = [head for line in lines if (head := entry_head(line)) is not None]
    samples = [head.prefix for head in found if head.counts] or [head.prefix for head in found]
    if not samples:
        return None
    step = -(-len(samples) // _MOST_SAMPLES)
    samples = samples[::step]
    forms = Counter(map(_form, samples))
    best, most = "", 0
    for form in (*_KNOWN, *(form for form, _ in forms.most_common(_MOST_FORMS))):
        number = sum(map(_matches(form), samples))
        if number > most:
            best, most = form, number
    if most * 20 < len(samples) * 19:
        return None
    every = [head.prefix for head in found]
    guess = best if best in _KNOWN else _named(_columns(best), every[: _MOST_SAMPLES * 4])
    if not re.search("%[tmn]", guess) or not re.search("%[pc]", guess):
        return None
    return guess.replace(_PERCENT, "%%")


def unknown_names(prefix: str) -> list[str]:
    """Returns what is in a guessed prefix, but nobody knows where."""
    if "%?" not in prefix:
        return []
    names = (("%u", "user"), ("%d", "database"), ("%a", "application"))
    return [name for escape, name in names if escape not in prefix]


def _form(sample: str) -> str:
    """The text of a line before its level, with columns in the place of their values."""
    form = sample.replace("%", _PERCENT)
    for pattern, escape in _RULES:
        if escape in _SEVERAL:
            form = re.sub(pattern, escape, form)
        elif escape[:2] not in form:
            form = re.sub(pattern, escape, form, count=1)
    parts = re.split(r"(%.)", form)
    for place in range(0, len(parts), 2):
        pieces = _KEY.split(parts[place])
        pieces[::2] = [_WORDS.sub("%?", piece) for piece in pieces[::2]]
        parts[place] = "".join(pieces)
    form = "".join(parts)
    return re.sub(r"%\?(?: %\?)+", "%?", form)


def _columns(form: str) -> list[str]:
    """The texts of a form, and at odd places its columns."""
    return re.split(r"(%.)", form)


def _matches(form: str) -> Callable[[str], bool]:
    if _NUMBER not in form and re.search("%[tmn]", form) and re.search("%[pc]", form):
        whole = entry_pattern(form.replace(_PERCENT, "%%")).match
        return lambda sample: whole(f"{sample}LOG:  ") is not None
    pattern = _grouped(_columns(form))
    return lambda sample: pattern.fullmatch(sample) is not None


def _grouped(columns: Sequence[str]) -> re.Pattern[str]:
    """A pattern with a group for each column."""
    parts = [
        f"({column_pattern(part[1])})" if place % 2 else re.escape(part.replace(_PERCENT, "%"))
        for place, part in enumerate(columns)
    ]
    return re.compile("".join(parts), re.DOTALL)


def _named(columns: list[str], samples: Sequence[str]) -> str:
    """The prefix, after a look at the values in its columns."""
    pattern = _grouped(columns)
    rows = [found.groups() for sample in samples if (found := pattern.fullmatch(sample))]
    values = {place: [row[place // 2] for row in rows] for place in range(1, len(columns), 2)}
    _name_times(columns, values)
    _name_numbers(columns, values)
    _name_words(columns, values)
    return _with_q("".join(columns))


def _name_times(columns: list[str], values: dict[int, list[str]]) -> None:
    times = [place for place in values if columns[place] == "%t"]
    if {"%m", "%n"} & set(columns):
        times.insert(0, 0)  # the beginning of the session is the other one
    elif times:
        times.sort(key=lambda place: values[place], reverse=True)  # it began before
    for place in times[1:]:
        columns[place] = "%s"


def _name_numbers(columns: list[str], values: dict[int, list[str]]) -> None:
    """Say which number is the process, and which the number of the entry."""
    numbers = [place for place in values if columns[place] == _NUMBER]
    numbers.sort(key=lambda place: not columns[place - 1].endswith("["))
    session = next((place for place in values if columns[place] == "%c"), None)
    process = next((place for place in values if columns[place] == "%p"), None)
    if process is None and session is not None:
        pids = [str(int(name.partition(".")[2], 16)) for name in values[session]]
        process = next((place for place in numbers if values[place] == pids), None)
    elif process is None and numbers:
        process = next(
            (
                place
                for place in numbers
                if any(_counts_in(values[place], values[other]) for other in numbers)
            ),
            numbers[0],
        )
    for place in numbers:
        columns[place] = "%?"
        if place == process:
            columns[place] = "%p"
        elif "%l" not in columns and any(
            _counts_in(values[key], values[place]) for key in (session, process) if key is not None
        ):
            columns[place] = "%l"
        if columns[place] == "%?" and {len(value) for value in values[place]} == {5}:
            columns[place] = "%e"


def _counts_in(sessions: Sequence[str], numbers: Sequence[str]) -> bool:
    """Whether the numbers of each session rise."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for session, number in zip(sessions, numbers, strict=True):
        found[session].append(int(number))
    several = [each for each in found.values() if len(each) > 1]
    return bool(several) and all(a < b for each in several for a, b in pairwise(each))


def _name_words(columns: list[str], values: dict[int, list[str]]) -> None:
    """Say which name is the application, where no other can be meant."""
    left = []
    for place, found in values.items():
        if columns[place] != "%?":
            continue
        if "client backend" in found:
            columns[place] = "%b"
        elif all(re.fullmatch("[0-9A-Z]{5}", value) for value in found) and "00000" in found:
            columns[place] = "%e"
        elif all(re.fullmatch(_COMMAND, value) for value in found):
            columns[place] = "%i"
        elif not all(value.isdecimal() for value in found):
            left.append(place)
    if len(left) != 1 or "%a" in columns or not {"%u", "%d"} <= set(columns):
        return
    place = left[0]
    names = values[place]
    if all(re.fullmatch(rf".+ {_COMMAND}", name) for name in names):
        columns[place] = "%? %i"
        names = [re.sub(rf" {_COMMAND}$", "", name) for name in names]
    # One value may be a text of the prefix, and several words may be several names.
    if len(set(names)) > 1 and ({name.count(" ") for name in names} != {names[0].count(" ")}
                                or " " not in names[0]):  # fmt: skip
        columns[place] = columns[place].replace("%?", "%a")


def _with_q(prefix: str) -> str:
    """The prefix with `%q` before its names, which entries of the server itself may not have."""
    for found in ESCAPE.finditer(prefix):
        if found[2] in "uda?rhib":
            before = re.sub(r"[\[(<{]?(?:\w+=)?$", "", prefix[: found.start()])
            if re.search("%[tmn]", before) and re.search("%[pc]", before):
                return f"{before}%q{prefix[len(before) :]}"
            break
    return prefix
