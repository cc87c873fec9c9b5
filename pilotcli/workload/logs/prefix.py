"""`log_line_prefix`: as a pattern, and guessed from the lines of a log.

Source: PostgreSQL documentation, section 19.8.3 "What to Log".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotcli.common.errors import UsageError

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_PATTERNS = {
    "a": ".*?", "u": ".*?", "d": ".*?", "r": r"\S*?", "h": r"\S*?", "L": r"\S*?", "b": ".*?",
    "p": r"\d+", "P": r"\d*", "t": rf"{_TIME} \S+", "m": rf"{_TIME}\.\d+ \S+",
    "n": r"\d{10}\.\d{3}", "Q": r"-?\d+", "i": ".*?", "e": r"[0-9A-Z]{5}",
    "c": r"[0-9a-f]+\.[0-9a-f]+", "l": r"\d+", "s": rf"{_TIME} \S+", "v": r"\S*?", "x": r"\d+",
}  # fmt: skip
_KEPT = "audpctmnl"
LEVEL = r"(?:DEBUG\d?|INFO|NOTICE|WARNING|LOG|ERROR|FATAL|PANIC)"
MARK = ":  "
"""What each entry of a log as text has behind its level."""
_ENTRY = re.compile(rf"(.{{1,300}}?){LEVEL}{MARK}")
_STATEMENT = re.compile(r"LOG:  (?:duration: |statement: |execute )")
_ESCAPE = re.compile(r"%(-?\d+)?([A-Za-z%])")

_KNOWN = (
    "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%t-%c-",
)
"""Prefixes that no rule below finds: those of some clouds."""

_VALUE = r"[^,\s\])|;]*"
_RULES = (
    (rf"{_TIME}\.\d+ [^\s:|,\]>]+", "%m"),
    (rf"{_TIME} [^\s:|,\]>]+", "%t"),
    (r"\b1\d{9}\.\d{3}\b", "%n"),
    (r"\b[0-9a-f]{6,8}\.[0-9a-f]{1,8}\b", "%c"),
    (rf"(?<=\buser=){_VALUE}|(?<=\busr=){_VALUE}", "%u"),
    (rf"(?<=\bdb=){_VALUE}|(?<=\bdatabase=){_VALUE}", "%d"),
    (r"(?<=\bapp=)[^,\])|;]*?(?=[,\])|;]|\s*$| \w+=)", "%a"),
    (rf"(?<=\bapplication=){_VALUE}", "%a"),
    (r"(?<=\bclient=)[^,\s\]|;]*|(?<=\bhost=)[^,\s\]|;]*|(?<=\bremote=)[^,\s\]|;]*", "%r"),
    (r"(?<=\bpid=)\d+|(?<=\bpid )\d+", "%p"),
    (r"(?<=\[)\d+(?=-\d+\])|(?<=\bline )\d+", "%l"),
    (r"(?<=\[)\d+(?=\])", "%p"),
    (r"(?<![%\w])[\w.\-]+@[\w.\-]+(?!\w)|\[unknown\]@\[unknown\]", "%u@%d"),
    (r"\[local\]|(?<![\d.%])\d+\.\d+\.\d+\.\d+(?:\(\d+\))?", "%r"),
    (r"(?<![%\w.\-])\d+(?![\w.\-])", "%p"),
    (r"(?<![%\w.\-])\d+(?![\w.\-])", "%l"),
)


def entry_pattern(prefix: str) -> re.Pattern[str]:
    """Returns the pattern of a line that begins an entry, or a part of it such as DETAIL.

    Its groups have the letters of the prefix; `level` and `text` follow. Raises `UsageError` for a
    prefix without a time, or without a session.
    """
    parts, seen, optional, position = [], set(), False, 0
    for found in _ESCAPE.finditer(prefix):
        parts.append(re.escape(prefix[position : found.start()]))
        position = found.end()
        width, letter = found.groups()
        if letter == "%":
            parts.append("%")
        elif letter == "q":
            parts.append("(?:")
            optional = True
        elif letter in _PATTERNS:
            pattern = _PATTERNS[letter]
            if letter in _KEPT and letter not in seen:
                seen.add(letter)
                pattern = f"(?P<{letter}>{pattern})"
            parts.append(f" *{pattern} *" if width else pattern)
        else:
            raise UsageError(
                f"the prefix {prefix!r} has {found[0]}, which PostgreSQL does not know",
                hint="Write it as the server has it: SHOW log_line_prefix",
            )
    parts.append(re.escape(prefix[position:]) + (")?" if optional else ""))
    if not seen & set("tmn") or not seen & set("pc"):
        raise UsageError(
            f"the prefix {prefix!r} has no time (%m) or no session (%p or %c)",
            hint="Without them nobody knows which statements belong together. Set it for instance "
            "to '%m [%p] %q%u@%d ' on the server.",
        )
    level = rf"(?P<level>{LEVEL}|DETAIL|STATEMENT|CONTEXT|HINT|QUERY|LOCATION)"
    return re.compile("".join(parts) + level + r":  ?(?P<text>.*)", re.DOTALL)


def guess_prefix(lines: Sequence[str]) -> str | None:
    """Returns the `log_line_prefix` of a log that has these lines; None for what is no log."""
    entries = [found for line in lines if MARK in line and (found := _ENTRY.match(line))]
    statements = [found for found in entries if _STATEMENT.match(found.string, found.end(1))]
    samples = [found[1] for found in statements or entries]
    if not samples:
        return None
    guesses = [*_KNOWN, *(guess for sample in samples[:3] for guess in _generalised(sample))]
    best, most = None, 0
    for guess in guesses:
        try:
            pattern = entry_pattern(guess)
        except UsageError:
            continue
        number = sum(pattern.match(f"{sample}LOG:  ") is not None for sample in samples)
        if number > most:
            best, most = guess, number
    return best if most * 10 >= len(samples) * 9 else None


def _generalised(sample: str) -> list[str]:
    """Prefixes that could have made `sample`, the narrower one first."""
    guess = sample.replace("%", "%%")
    for pattern, escape in _RULES:
        if escape not in guess:
            guess = re.sub(pattern, escape, guess, count=1)
    guesses = [guess]
    if "%a" not in guess:  # what is left between the escapes may be the name of an application
        parts = re.split(r"(%.)", guess)
        for place in range(0, len(parts), 2):
            named = re.match(r"(\W*)(\w.*?)(\W*)$", parts[place], re.DOTALL)
            if named is not None:
                name = f"{named[1]}%a{' ' if named[3].endswith(' ') else named[3]}"
                guesses.append("".join([*parts[:place], name, *parts[place + 1 :]]))
    return guesses
