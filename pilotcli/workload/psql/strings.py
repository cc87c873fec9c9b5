"""Which meaning a backslash has in a plain string: `standard_conforming_strings`."""

from __future__ import annotations

import re

from pilotcli.common.sql_commands import block_step, command_of

_SET = re.compile(
    r"(?is)\s*set\s+(?:(session|local)\s+)?standard_conforming_strings\s*(?:=|\bto\b)\s*"
    r"'?\s*(on|off|true|false|yes|no|1|0|default)\b"
)
_RESET = re.compile(r"(?is)\s*(?:reset\s+(?:standard_conforming_strings|all)|discard\s+all)\b")


class StringsMode:
    """Follows `standard_conforming_strings` through the statements of a workload.

    psql learns of a change from the server, and uses it from the next line of the script on.
    """

    def __init__(self, standard: bool = True) -> None:
        self.standard = standard
        self._default = standard
        self._before_line: tuple[bool, int] | None = None
        self._at_begin: bool | None = None
        self._at_commit: bool | None = None

    def standard_at(self, line: int) -> bool:
        """Whether a backslash is an ordinary character in a string on `line`."""
        if self._before_line is not None and line <= self._before_line[1]:
            return self._before_line[0]
        return self.standard

    def new_file(self) -> None:
        """Lines count from 1 again."""
        self._before_line = None

    def observe(self, command: str, sql: str, line: int) -> None:
        """Take note of a statement that ends on `line` and may change the setting."""
        now = self.standard
        if command_of(command).changes_settings:
            self._observe_setting(sql)
        step = block_step(command, sql)
        if step.ends and self._at_begin is not None:
            self._end(self._at_commit if step.keeps else self._at_begin)
        if step.begins and self._at_begin is None:
            self._at_begin = self._at_commit = self.standard
        if self.standard != now:
            self._before_line = (now, line)

    def _observe_setting(self, sql: str) -> None:
        if _RESET.match(sql):
            scope, value = "session", self._default
        elif found := _SET.match(sql):
            scope = (found[1] or "session").lower()
            word = found[2].lower()
            value = self._default if word == "default" else word in ("on", "true", "yes", "1")
        else:
            return
        if scope == "local" and self._at_begin is None:
            return  # without a transaction block it has no effect
        self.standard = value
        if scope == "session" and self._at_begin is not None:
            self._at_commit = value

    def _end(self, standard: bool | None) -> None:
        self.standard = self.standard if standard is None else standard
        self._at_begin = self._at_commit = None
