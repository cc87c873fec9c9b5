"""Knows the temporary tables of a session, from the statements that create them."""

from __future__ import annotations

import re

_CREATE = re.compile(
    r"\s*create\s+(?:local\s+|global\s+)?temp(?:orary)?\s+(?:table|view|sequence)\s+"
    r"(?:if\s+not\s+exists\s+)?([\w$]+)",
    re.IGNORECASE,
)
_TARGET = re.compile(
    r"\s*(?:insert\s+into|update|delete\s+from|merge\s+into|copy|truncate(?:\s+table)?|analyze|"
    r"vacuum|drop\s+table(?:\s+if\s+exists)?|create\s+(?:unique\s+)?index\s+(?:if\s+not\s+exists\s+)?(?:[\w$]+\s+)?on)\s+"
    r"(?:only\s+)?([\w$]+)",
    re.IGNORECASE,
)


class TemporaryTables:
    """The temporary tables of a session."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def are_written(self, sql: str) -> bool:
        """Returns whether `sql` creates a temporary table, or writes to one that an earlier
        statement has created. Call this for each statement of the session, in order."""
        if made := _CREATE.match(sql):
            self._names.add(made[1].lower())
            return True
        target = _TARGET.match(sql)
        return target is not None and target[1].lower() in self._names
