"""`log_line_prefix` as a pattern.

Source: PostgreSQL documentation, section 19.8.3 "What to Log".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pilotcli.common.errors import UsageError
from pilotcli.workload.logs.entries import ERRORS, STATEMENT_MESSAGES

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_PATTERNS = {
    "a": ".*?", "u": ".*?", "d": ".*?", "r": r"\S*?", "h": r"\S*?", "L": r"\S*?", "b": ".*?",
    "p": r"\d+", "P": r"\d*", "t": rf"{TIME} \S+?", "m": rf"{TIME}\.\d+ \S+?",
    "n": r"\d{10}\.\d{3}", "Q": r"-?\d+", "e": r"[0-9A-Z]{5}",
    "i": "(?:[A-Z][A-Z ]*(?: waiting)?|[a-z][a-z ()]*|)",
    "c": r"[0-9a-f]+\.[0-9a-f]+", "l": r"\d+", "s": rf"{TIME} \S+?", "v": r"\S*?", "x": r"\d+",
    "?": ".*?", "#": r"\d+",
}  # fmt: skip
"""`%?` is pilot's own: any text. A guess has `%#` for a number until it knows which."""
_KEPT = "audpctmnl"
LEVEL = r"(?:DEBUG\d?|INFO|NOTICE|WARNING|LOG|ERROR|FATAL|PANIC)"
MARK = ":  "
"""What each entry of a log as text has behind its level."""
_PARTS = r"DETAIL|STATEMENT|CONTEXT|HINT|QUERY|LOCATION"
_ENTRY = re.compile(rf"(.{{1,300}}?)({LEVEL}|{_PARTS}){MARK}(?:[0-9A-Z]{{5}}: )?(.{{,12}})")
_DATED = re.compile(r"\d\d:\d\d:\d\d|\b1\d{9}\.\d{3}\b|\b[0-9a-f]{6,8}\.[0-9a-f]{1,8}\b")
ESCAPE = re.compile(r"%(-?\d+)?([A-Za-z%?])")


class EntryHead(NamedTuple):
    """How an entry begins: what is before its level, the level, and whether it may hold a statement
    or an error."""

    prefix: str
    level: str
    counts: bool


def entry_head(line: str) -> EntryHead | None:
    """Returns how a line begins that looks like an entry, whatever its prefix is; else None."""
    if MARK not in line or line[0] == "\t":
        return None
    found = _ENTRY.match(line)
    if found is None or _DATED.search(found[1]) is None:
        return None
    level = found[2]
    if level in _PARTS.split("|"):
        return None
    counts = level in ERRORS or (level == "LOG" and found[3].startswith(STATEMENT_MESSAGES))
    return EntryHead(found[1], level, counts)


def column_pattern(letter: str) -> str:
    """Returns the pattern of what a server writes for `%letter`."""
    return _PATTERNS[letter]


def entry_pattern(prefix: str) -> re.Pattern[str]:
    """Returns the pattern of a line that begins an entry, or a part of it such as DETAIL.

    Its groups have the letters of the prefix; `level` and `text` follow. Raises `UsageError` for a
    prefix without a time, or without a session.
    """
    parts, seen, optional, position = [], set(), False, 0
    for found in ESCAPE.finditer(prefix):
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
    level = rf"(?P<level>{LEVEL}|{_PARTS})"
    state = "(?:[0-9A-Z]{5}: )?"  # with log_error_verbosity = verbose
    return re.compile("".join(parts) + level + rf":  ?{state}(?P<text>.*)", re.DOTALL)
