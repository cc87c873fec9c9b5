"""`pilot runs compare|diff`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from pilotcli.analysis.compare_named import (
    compare_runs,
    open_journal,
    rank_arms,
    selected_queries,
)
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import GATE_EXIT_CODE, failed_gates, parse_gate
from pilotcli.analysis.ordering import SORTS, ordered
from pilotcli.analysis.part import WantedQueries
from pilotcli.analysis.plan_pair import plan_pair
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import (
    ConfigOption,
    ExcludeOption,
    FailIfOption,
    FormatOption,
    SelectOption,
    SetOption,
)
from pilotcli.common.unsafe import escaped_json
from pilotcli.config import load_config
from pilotcli.reports.comparisons import as_csv, as_json, as_markdown
from pilotcli.views.arms import show_folds, show_ranking
from pilotcli.views.comparison import show_comparison, show_reasons
from pilotcli.views.console import out
from pilotcli.views.plan_pair import show_plan_pair, show_plan_pairs
from pilotcli.workload.selection import Selection

QUERIES_LISTED = 20
"""Queries of a sorted list, where neither --limit nor --all says how many."""


def _sort_keys(incomplete: str) -> list[str]:
    """The orders, as the shell completes them."""
    sign = "-" if incomplete.startswith("-") else ""
    return [f"{sign}{key}" for key in SORTS]


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="A",
        autocompletion=completed_by("runs:runs"),
        help="The run to judge: its number or name, or FOLDER:NUMBER in another home.",
    ),
]
BaselineArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="B",
        autocompletion=completed_by("runs:runs"),
        help="The run to compare it with. Default: the other run of its pair (--against).",
    ),
]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="Only queries that failed at least once in A or in B.")
]
SlowestOption = Annotated[
    int | None,
    typer.Option(
        "--slowest",
        metavar="N",
        min=1,
        help="Only the N slowest queries of A, by their slowest execution.",
    ),
]


def compare(
    run: RunArgument,
    baseline: BaselineArgument = None,
    select: SelectOption = None,
    exclude: ExcludeOption = None,
    failed: FailedOption = False,
    slowest: SlowestOption = None,
    fail_if: FailIfOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=0,
            help="How many queries to list. Default: the five that are hurt most, and the five "
            "that are helped most.",
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="List all queries.")] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="[-]KEY",
            autocompletion=_sort_keys,
            help=f"Order: {', '.join(SORTS)}; the least first, with - in front the largest first. "
            "Default: worst regressions first.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[
        Literal["table", "json", "markdown", "csv"],
        typer.Option("--format", help="How to write the comparison."),
    ] = "table",
) -> None:
    """Compare two runs: faster queries, slower queries, noise.

    Queries are matched by their text. Exit codes: 0: all is well. 2: usage. 5: a --fail-if
    condition holds.

    \b
    Examples:
      pilot runs compare 12
      pilot runs compare 12 --all
      pilot runs compare 12 8 --sort -time --limit 50
      pilot runs compare 12 --select 'hot-*' --exclude 7-12
      pilot runs compare 12 --failed
      pilot runs compare 12 main/.pilot:3 --fail-if 'total.slowdown > 5%'
    """
    gates = [parse_gate(text) for text in fail_if or ()]
    wanted = _wanted(select, exclude, failed=failed, slowest=slowest)
    home = load_config(config, set_).home
    comparison = compare_runs(home, run, baseline, wanted)
    comparison = replace(comparison, queries=ordered(comparison.queries, sort))
    if limit is None and (all_ or sort is not None or format == "markdown"):
        limit = len(comparison.queries) if all_ else QUERIES_LISTED
    reasons = [reason for _, reason in failed_gates(comparison, gates)]
    try:
        # A reader that stops early (`| head`) still sees which conditions hold.
        with contextlib.suppress(BrokenPipeError):
            if format == "table":
                show_comparison(comparison, limit=limit)
                if comparison.folds:
                    out()
                    show_folds(comparison)
                elif baseline is None and not wanted:  # the ranking is by all queries
                    _show_ranking(home, comparison)
            elif format == "markdown":
                out(as_markdown(comparison, limit).rstrip("\n"))
            else:
                csv_text = format == "csv"
                text = as_csv(comparison) if csv_text else escaped_json(as_json(comparison))
                # A program gets the texts in CSV as they are; a terminal would act upon them.
                out(text.rstrip("\n"), exact=not (csv_text and sys.stdout.isatty()))
    finally:
        show_reasons(reasons)
    if reasons:
        raise typer.Exit(GATE_EXIT_CODE)


def _wanted(
    select: Sequence[str] | None,
    exclude: Sequence[str] | None,
    *,
    failed: bool,
    slowest: int | None,
) -> WantedQueries:
    selection = Selection(tuple(select or ()), tuple(exclude or ()))
    return WantedQueries(selection, failed, slowest)


def _show_ranking(home: Path, comparison: Comparison) -> None:
    """Write the ranking of several arms."""
    with open_journal(home) as journal:
        if (ranking := rank_arms(journal, comparison.run_a)) is not None:
            out()
            show_ranking(ranking)


def diff(
    run: RunArgument,
    baseline: BaselineArgument = None,
    query: Annotated[
        str,
        typer.Option(
            "--query",
            metavar="QUERY",
            autocompletion=completed_by("labels:labels"),
            help="The query's number in A, or its label.",
        ),
    ] = "1",
    select: SelectOption = None,
    exclude: ExcludeOption = None,
    failed: FailedOption = False,
    slowest: SlowestOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = "table",
) -> None:
    """Show how one query's plans in two runs differ.

    The plans are shown side by side. `pilot run --plans` keeps plans; a paired run always does,
    with actual rows. With --select, --exclude, --failed or --slowest, all those queries are shown.

    \b
    Examples:
      pilot runs diff 12 --query 17
      pilot runs diff 12 8 --query hot-questions
      pilot runs diff 12 --select 'hot-*' --slowest 3
    """
    home = load_config(config, set_).home
    wanted = _wanted(select, exclude, failed=failed, slowest=slowest)
    if not wanted:
        show_plan_pair(plan_pair(home, run, baseline, query), json=format == "json")
        return
    numbers = selected_queries(home, run, baseline, wanted)
    pairs = [plan_pair(home, run, baseline, str(seq)) for seq in numbers]
    show_plan_pairs(pairs, json=format == "json")
