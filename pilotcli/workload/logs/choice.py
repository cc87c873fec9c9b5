"""Which statements of a log are wanted, and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pilotcli.common.errors import UsageError
from pilotcli.common.sql_commands import command_of, may_write
from pilotcli.common.suggestions import nearest
from pilotcli.workload.logs.entries import Entry
from pilotcli.workload.logs.statements import LoggedStatement

COLUMNS = ("database", "user", "application", "session")
_CONDITION = re.compile(r"\s*(\w+)\s*(=|!=|<>)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """A column that is, or is not, a value."""

    column: str
    equal: bool
    value: str


def parse_condition(text: str) -> Condition:
    """Returns the condition in `database = shop`; raises `UsageError` for another text."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--where {text!r} is no condition",
            hint="Write COLUMN = VALUE or COLUMN != VALUE: --where 'database = shop'. Repeat "
            "--where for several; all must hold.",
        )
    column, sign, value = found.groups()
    if column.lower() not in COLUMNS:
        similar = nearest(column.lower(), COLUMNS)
        hint = f"Did you mean {similar}?" if similar else f"The columns are {', '.join(COLUMNS)}."
        raise UsageError(f"--where {text!r}: there is no column {column}", hint=hint)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1].replace(value[0] * 2, value[0])
    return Condition(column.lower(), sign == "=", value)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which statements are wanted.

    - `where`: all must hold;
    - `min_duration_s`: they ran so long at least; without a known duration they are not wanted;
    - `select_only`: they only read;
    - `with_failed`: also those that failed;
    - `distinct`: one of those that differ in their values only;
    - `fill`: gives a statement with `$1` values, or returns why it cannot;
    - `rewrite`: what is done to the text of each, such as `Anonymiser.replace`.
    """

    where: tuple[Condition, ...] = ()
    min_duration_s: float | None = None
    select_only: bool = False
    with_failed: bool = False
    distinct: bool = False
    fill: Callable[[LoggedStatement], str] | None = None
    rewrite: Callable[[str], str] | None = None

    @property
    def narrows(self) -> bool:
        """Whether `wants` is false for some statements."""
        return bool(self.where or self.min_duration_s is not None or self.select_only)

    def comes_from(self, sender: LoggedStatement | Entry) -> bool:
        """Returns whether the conditions hold for who sent a statement."""
        for condition in self.where:
            if (getattr(sender, condition.column) == condition.value) != condition.equal:
                return False
        return True

    def wants(self, statement: LoggedStatement) -> bool:
        """Returns whether `statement` is wanted."""
        if not self.comes_from(statement):
            return False
        if self.min_duration_s is not None and (
            statement.duration_s is None or statement.duration_s < self.min_duration_s
        ):
            return False
        return not self.select_only or only_reads(statement)


def only_reads(statement: LoggedStatement) -> bool:
    """Returns whether a statement is a query that writes nothing."""
    command = command_of(statement.command)
    return (
        command.effect == "nothing"
        and command.planned
        and not may_write(statement.command, statement.sql)
    )
