"""The names of the module's settings, which `pilot_planner.c` describes, and the text of one."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Sequence
from functools import lru_cache
from numbers import Real

from pilotcli.common.errors import DriverError

ROWS_SETTING = "pilot_planner.rows"
REPORT_SETTING = "pilot_planner.report"
NONCE_SETTING = "pilot_planner.nonce"
INDEXES_SETTING = "pilot_planner.indexes"
HIDDEN_SETTING = "pilot_planner.hidden_indexes"
NONCE = secrets.token_hex(8)
"""What this process's reports begin with, so that nothing else passes for one."""


def rows_setting(
    entries: Sequence[tuple[Collection[str], float]], blocks: Sequence[str] = ()
) -> str:
    """Returns the value of `pilot_planner.rows` for `entries`: relations and their rows.

    `blocks` are the numbers of their query blocks; without these, an entry is for the outermost
    block that has its relations.

    A relation is named by its alias, as `p` or `p#2` (a `#` in the alias itself is doubled).
    Within a statement the text must be quoted as a literal. Raises `DriverError` for rows that
    are not a finite number of at least 0, and for an entry without relations.
    """
    numbers = [f"{block}:" for block in blocks] or [""] * len(entries)
    return ";".join(
        [
            # The usual type first, for speed: every steered query comes here.
            f"{number}{_names(tuple(names))}={rows!r}"
            if type(rows) is float and 0.0 <= rows < math.inf
            else f"{number}{_names(tuple(names))}={_checked(names, rows)!r}"
            for number, (names, rows) in zip(numbers, entries, strict=True)
        ]
    )


@lru_cache(maxsize=4096)
def _names(names: tuple[str, ...]) -> str:
    if not names or not all(names):
        raise DriverError("a cardinality is pushed for no relation, or for one without a name")
    return ",".join(['"' + name.replace('"', '""') + '"' for name in names])


def _checked(names: Collection[str], rows: object) -> float:
    if isinstance(rows, Real) and 0.0 <= float(rows) < math.inf:
        return float(rows)
    raise DriverError(
        f"the cardinality pushed for {', '.join(sorted(names))} is {rows!r}",
        hint="A cardinality is a finite number of rows, 0 or more.",
    )
