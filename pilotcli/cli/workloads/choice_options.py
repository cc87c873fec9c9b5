"""The options that say which statements a workload takes from a log or a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pilotcli.common.errors import UsageError
from pilotcli.config.kinds import duration_s
from pilotcli.workload.logs.anonymous import Anonymiser
from pilotcli.workload.logs.choice import Choice, parse_condition

OutputOption = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", help="The .jsonl file to write, or - for standard output."
    ),
]
MinDurationOption = Annotated[
    str | None,
    typer.Option(
        "--min-duration", metavar="TIME", help="Only statements that ran so long: 10ms, 2s."
    ),
]
SelectOnlyOption = Annotated[bool, typer.Option("--select-only", help="Only statements that read.")]
DistinctOption = Annotated[
    bool,
    typer.Option(
        "--distinct",
        help="Only one of the statements that differ in their values alone, with their number "
        "as its weight.",
    ),
]
AnonymizeOption = Annotated[
    bool,
    typer.Option("--anonymize", help="Replace values by others of the same kind and length."),
]


def choice_of(
    where: Sequence[str] | None,
    min_duration: str | None,
    anonymize_seed: int | None,
    *,
    select_only: bool,
    distinct: bool,
    with_failed: bool = False,
) -> Choice:
    """Returns the choice that the options say; `anonymize_seed` is None without `--anonymize`.

    Raises `UsageError` for a condition or a time that is none.
    """
    return Choice(
        where=tuple(map(parse_condition, where or ())),
        min_duration_s=None if min_duration is None else _duration_s(min_duration),
        select_only=select_only,
        with_failed=with_failed,
        distinct=distinct,
        rewrite=None if anonymize_seed is None else Anonymiser(anonymize_seed).replace,
    )


def _duration_s(text: str) -> float:
    seconds = duration_s(text)
    if seconds is None:
        raise UsageError(
            f"--min-duration {text!r} is no time", hint="Write it as 10ms, 2s, or in seconds."
        )
    return seconds
