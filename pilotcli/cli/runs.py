"""`pilot runs list|show|compare|diff|report|export`."""

from __future__ import annotations

import contextlib
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from pilotcli.cli.options import ConfigOption, FailIf, FormatOption, ListFormat, SetOption
from pilotcli.cli.outputs import JUnitOption, MLflowOption, Outputs, SummaryOption

__all__ = ["app"]


class CompareFormat(str, Enum):
    """How a comparison is written."""

    table = "table"
    json = "json"
    markdown = "markdown"
    csv = "csv"


class ExportFormat(str, Enum):
    """Formats of exported tables."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"


class CompareSort(str, Enum):
    """Orders of the queries in a comparison."""

    speedup = "speedup"
    lost = "lost"
    time = "time"
    query = "query"


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="A", help="The run to judge: its number, or FOLDER:NUMBER in another home."
    ),
]
BaselineArgument = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time on Python 3.10
    typer.Argument(
        metavar="[B]",
        help="The run to compare it with. Default: the other run of its pair (--against).",
        show_default=False,
    ),
]

app = typer.Typer(help="Show and compare past runs.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="List only the newest N runs.")
    ] = 20,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = ListFormat.table,
) -> None:
    """List runs, newest first.

    \b
    Examples:
      pilot runs list
      pilot runs list --limit 100 --format json
    """
    from pilotcli.config import load_config
    from pilotcli.storage.journal import Journal
    from pilotcli.views.past_runs import show_runs

    home = load_config(config, set_ or []).home
    journal = Journal.open_existing(home)
    if journal is None:
        show_runs([], home, format.value)
        return
    with journal:
        runs = [(run, journal.counts(run.run_id)) for run in journal.runs(limit)]
    show_runs(runs, home, format.value)


@app.command()
def show(
    run: Annotated[
        Optional[int],  # noqa: UP045 - typer reads the annotation at run time on Python 3.10
        typer.Argument(metavar="[RUN]", help="The run's number. Default: the newest run."),
    ] = None,
    slowest: Annotated[
        int, typer.Option("--slowest", metavar="N", min=0, help="Show the N slowest queries.")
    ] = 5,
    failed: Annotated[
        bool, typer.Option("--failed", help="Show the queries that failed, instead of the slowest.")
    ] = False,
    junit: JUnitOption = None,
    summary: SummaryOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = ListFormat.table,
) -> None:
    """Show one run: its end, latencies, events, models, queries.

    \b
    Examples:
      pilot runs show
      pilot runs show 12 --slowest 20
      pilot runs show 12 --failed --format json
    """
    from pilotcli.analysis.compare_named import compare_runs
    from pilotcli.analysis.gates import gate_reasons
    from pilotcli.analysis.model_updates import MOST_RESULTS, update_effects
    from pilotcli.common.errors import StorageError, UsageError
    from pilotcli.config import load_config
    from pilotcli.storage.journal import Journal
    from pilotcli.views.charts import PARTS
    from pilotcli.views.past_runs import FAILED_SHOWN, FAILURES_SHOWN, RunDetails, show_run

    home = load_config(config, set_ or []).home
    journal = Journal.open_existing(home)
    if journal is None:
        raise StorageError(f"there are no runs in {home} yet", hint="Begin one: pilot run WORKLOAD")
    with journal:
        record = journal.run(run)
        # A table is held in memory as a whole, so that it has the first of many; JSON has all.
        everything = format is ListFormat.json
        parts = journal.timeline(record.run_id, PARTS)
        # A comparison reads every result of both.
        few = journal.statistics(record.run_id).total <= MOST_RESULTS
        driver = record.paired_with is not None and record.arm == "driver" and few
        comparison = None
        with contextlib.suppress(UsageError):  # nothing has ended in both
            comparison = compare_runs(home, str(record.run_id), None) if driver else None
        details = RunDetails(
            record,
            journal.statistics(record.run_id),
            journal.event_totals(record.run_id, FAILURES_SHOWN),
            journal.firings(record.run_id) if everything or parts else (),
            journal.models(record.run_id),
            tuple(
                journal.results(
                    record.run_id, failed=True, limit=None if everything else FAILED_SHOWN
                )
                if failed
                else journal.slowest(record.run_id, slowest)
            ),
            failed,
            journal.rounds(record.run_id),
            parts,
            update_effects(journal, record.run_id),
            comparison,
        )
        show_run(details, format.value)
    if junit is not None or summary is not None:
        outputs = Outputs(junit=junit, summary=summary)
        outputs.check()
        conditions = gate_reasons(str(one) for one in record.summary.get("reasons", ()))
        outputs.write(home, record.run_id, comparison, conditions)


@app.command()
def compare(
    run: RunArgument,
    baseline: BaselineArgument = None,
    fail_if: FailIf = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="How many queries to list.")
    ] = 20,
    sort: Annotated[
        Optional[CompareSort],  # noqa: UP045
        typer.Option("--sort", help="Order. Default: worst regressions first.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[
        CompareFormat, typer.Option("--format", help="How to write the comparison.")
    ] = CompareFormat.table,
) -> None:
    """Compare two runs: faster queries, slower queries, noise.

    Queries are matched by their text. Exit codes: 0: all is well. 2: usage. 5: a --fail-if
    condition holds.

    \b
    Examples:
      pilot runs compare 12
      pilot runs compare 12 8 --sort lost --limit 50
      pilot runs compare 12 main/.pilot:3 --fail-if 'total.slowdown > 5%'
    """
    from pilotcli.analysis.compare_named import compare_runs
    from pilotcli.analysis.gates import GATE_EXIT_CODE, failed_gates, parse_gate
    from pilotcli.config import load_config
    from pilotcli.views.comparison import show_comparison, show_reasons

    gates = [parse_gate(one) for one in fail_if or ()]
    home = load_config(config, set_ or []).home
    comparison = compare_runs(home, run, baseline)
    # Whoever has stopped reading (`| head`) still gets to know which conditions hold.
    with contextlib.suppress(BrokenPipeError):
        if format is CompareFormat.table:
            show_comparison(comparison, limit=limit, sort=None if sort is None else sort.value)
        else:
            from pilotcli.reports.comparisons import as_csv, as_json, as_markdown
            from pilotcli.views.console import out

            if format is CompareFormat.markdown:
                written = as_markdown(comparison, limit)
            else:
                written = (as_json if format is CompareFormat.json else as_csv)(comparison)
            out(written.rstrip("\n"))
    reasons = [reason for _, reason in failed_gates(comparison, gates)]
    if reasons:
        show_reasons(reasons)
        raise typer.Exit(GATE_EXIT_CODE)


@app.command()
def diff(
    run: RunArgument,
    baseline: BaselineArgument = None,
    query: Annotated[
        str, typer.Option("--query", metavar="QUERY", help="The query's number in A, or its label.")
    ] = "1",
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = ListFormat.table,
) -> None:
    """Show how one query's plans in two runs differ.

    The plans are shown side by side. `pilot run --plans` keeps plans; a paired run always does,
    with actual rows.

    \b
    Examples:
      pilot runs diff 12 --query 17
      pilot runs diff 12 8 --query hot-questions
    """
    from pilotcli.analysis.plan_pair import plan_pair
    from pilotcli.config import load_config
    from pilotcli.views.plan_pair import show_plan_pair

    home = load_config(config, set_ or []).home
    show_plan_pair(plan_pair(home, run, baseline, query), json=format is ListFormat.json)


@app.command()
def report(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="The run's number, or FOLDER:NUMBER in another home."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The .html file to write."),
    ],
    against: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--against",
            metavar="RUN",
            help="Compare it with this run. Default: the other run of its pair, if any.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write a run, or a comparison of two, as one HTML page.

    The page needs no other files.

    \b
    Examples:
      pilot runs report 12 -o report.html
      pilot runs report 12 --against 8 -o report.html
    """
    from pilotcli.config import load_config
    from pilotcli.reports.files import check_file
    from pilotcli.reports.html import read_report, write_html
    from pilotcli.views.console import out

    check_file(output, "--output", ".html", ".htm")
    home = load_config(config, set_ or []).home
    write_html(output, read_report(home, run, against))
    out(f"wrote {output}")


@app.command()
def export(
    run: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[RUN]",
            help="The run's number, or FOLDER:NUMBER in another home. Default: the newest run.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .parquet, .csv or .jsonl file for one table, or FOLDER/ for all tables.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--table",
            metavar="TABLE",
            help="Which table: results, queries, firings, models, plans or runs. Default: results "
            "for a file, all tables for a folder.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Optional[ExportFormat],  # noqa: UP045
        typer.Option(
            "--format",
            help="The format of the files in a folder. Default: parquet.",
            show_default=False,
        ),
    ] = None,
    mlflow: MLflowOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write a run as tables for other tools.

    The tables have a versioned schema; docs/export.md describes it.

    \b
    Examples:
      pilot runs export 12 -o results.parquet
      pilot runs export 12 -o models.csv --table models
      pilot runs export 12 -o folder/ --format jsonl
      pilot runs export 12 --mlflow file:mlruns
    """
    from pilotcli.analysis.compare_named import named_run, open_journal
    from pilotcli.common.errors import UsageError
    from pilotcli.config import load_config
    from pilotcli.reports.export import planned_export, write_export
    from pilotcli.views.console import out
    from pilotcli.views.text import clean, plural

    if output is None and mlflow is None:
        raise UsageError("export needs to know where to", hint="Add -o FILE, or --mlflow URI.")
    planned = None
    if output is not None:
        planned = planned_export(output, table, None if format is None else format.value)
    home, run_id = load_config(config, set_ or []).home, None
    if run is not None:
        home, run_id = named_run(home, run)
    with open_journal(home) as journal:
        record = journal.run(run_id)
        if planned is not None:
            for path, rows in write_export(journal, record.run_id, planned):
                out(f"wrote {clean(path)}: {plural(rows, 'row')}")
        if mlflow is not None:
            from pilotcli.analysis.compare import compare
            from pilotcli.reports.mlflow import log_run

            other = record.paired_with if record.arm == "driver" else None
            paired = None if other is None else compare(journal, record.run_id, journal, other)
            out(f"logged as {log_run(mlflow, journal, record.run_id, paired)}")
