"""Signs that a statement was written for another database, or needs values that it does not have.

A sign counts only where PostgreSQL refuses it for certain: `?` and `%` are operators, too.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(
    r"'[^']*'|\"[^\"]*\"|\$([A-Za-z_]*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
# One set of characters first, because the pattern finds these fast.
_ANY_SIGN = re.compile(
    r"[`?%:${\[](?:(?<=[`?])|(?<=%)[s(]|(?<=[^:]:)[A-Za-z_]|(?<=\$)[0-9]|(?<=\{)[{%]|(?<=\[)[A-Za-z_])"
)
# What stands before a value: nothing that could be the left side of an operator.
_BEFORE = r"(?:[=<>(,]|\b(?:and|or|between|in|like|ilike|limit|offset|values|where)\b)\s*"
_AFTER = r"(?=\s*(?:[,);]|\Z|(?:and|or|order|group|limit|offset|as|then|else|end)\b))"
_FILL_IN = "Write the values into the queries."
_SIGNS = (
    (
        re.compile(r"\{\{|\{%"),
        "holds a template ({{ ... }})",
        "Render it first, and name the SQL that it makes.",
    ),
    (
        re.compile(r"`[A-Za-z_]\w*`"),
        "has names in backquotes, as in MySQL",
        'PostgreSQL quotes names with double quotes: "name".',
    ),
    (
        re.compile(rf"(?i){_BEFORE}\?{_AFTER}"),
        "has the placeholder ? without a value",
        _FILL_IN,
    ),
    (
        re.compile(rf"(?i){_BEFORE}(?:%s{_AFTER}|%\(\w+\)s)"),
        "has a placeholder of Python (%s) without a value",
        _FILL_IN,
    ),
    (
        re.compile(rf"(?i){_BEFORE}:([A-Za-z_]\w*){_AFTER}"),
        "has the variable :{0}, which is not set",
        "Set it above: \\set {0} value. A placeholder of a program needs a value in its place.",
    ),
    (
        re.compile(r"(?<!\w)\$[0-9]+\b"),
        "has the parameter {0} without a value",
        _FILL_IN + " PREPARE with EXECUTE works, too.",
    ),
    (
        re.compile(r"(?i)(?:\bselect\s+|\.|,\s*|\bfrom\s+)\[[A-Za-z_][\w ]*\]"),
        "has names in brackets, as in SQL Server",
        'PostgreSQL quotes names with double quotes: "name".',
    ),
)
_WITH_PARAMETERS = ("PREPARE", "CREATE", "DO", "ALTER")


def foreign_sign(sql: str, command: str) -> str | None:
    """Returns what in `sql` PostgreSQL will refuse, and what to do about it; None if nothing shows.

    `command` is the statement's first word.
    """
    if not _ANY_SIGN.search(sql):
        return None
    bare = _QUOTED.sub("''", sql)
    for pattern, what, advice in _SIGNS:
        found = pattern.search(bare)
        if found is None or (found[0].startswith("$") and command in _WITH_PARAMETERS):
            continue
        name = found[1] if found.re.groups else found[0]
        return f"{what.replace('{0}', name)}: {advice.replace('{0}', name)}"
    return None
