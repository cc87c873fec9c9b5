"""The form that statements share which differ in their values only."""

from __future__ import annotations

import re

from pilotcli.workload.logs.sql_tokens import TOKEN

_VALUES = frozenset({"string", "number", "dollar", "parameter"})
_LIST = re.compile(r"\(\?(?:,\?)+\)")
_AROUND = re.compile(r" ?([^\w\s\"?$]) ?")


def normal_form(sql: str) -> str:
    """Returns `sql` with `?` for each value, without comments, in small letters, with single
    spaces. A list of values has one `?`, however long it is."""
    text = TOKEN.sub(_normal, sql)
    text = _AROUND.sub(r"\1", re.sub(" +", " ", text))
    return _LIST.sub("(?)", text).strip(" ;")


def _normal(token: re.Match[str]) -> str:
    kind = token.lastgroup
    if kind in _VALUES:
        return "?"
    if kind in ("space", "comment"):
        return " "
    return token[0].lower() if kind == "word" else token[0]
