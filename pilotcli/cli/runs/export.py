"""`pilot runs report|export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from pilotcli.analysis.compare import compare
from pilotcli.analysis.compare_named import named_run, open_journal
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import ConfigOption, MLflowOption, RunArgument, SetOption
from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import plural
from pilotcli.config import load_config
from pilotcli.reports.export import planned_export, write_export
from pilotcli.reports.files import check_file, writes_to_stdout, written_name
from pilotcli.reports.html import read_report, write_html
from pilotcli.reports.mlflow import log_run
from pilotcli.views.console import err, out
from pilotcli.views.text import clean


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=completed_by("runs:runs"),
            help="The run's number or name, or FOLDER:NUMBER in another home.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .html file to write.")
    ],
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="RUN",
            autocompletion=completed_by("runs:runs"),
            help="Compare it with this run. Default: the other run of its pair, if any.",
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
    check_file(output, "--output", ".html", ".htm")
    write_html(output, read_report(load_config(config, set_).home, run, against))
    _report(output, f"wrote {clean(written_name(output))}")


def export(
    run: RunArgument = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .parquet, .csv or .jsonl file for one table, or FOLDER/ for all tables.",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="TABLE",
            help="Which table: results, queries, firings, models, plans or runs. Default: results "
            "for a file, all tables for a folder.",
        ),
    ] = None,
    format: Annotated[
        Literal["parquet", "csv", "jsonl"] | None,
        typer.Option("--format", help="The format of the files in a folder. Default: parquet."),
    ] = None,
    no_formulas: Annotated[
        bool,
        typer.Option(
            "--no-formulas",
            help="In CSV: write a quote before texts that a spreadsheet would calculate.",
        ),
    ] = False,
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
    if output is None and mlflow is None:
        raise UsageError("export needs to know where to", hint="Add -o FILE, or --mlflow URI.")
    planned = planned_export(output, table, format) if output is not None else None
    if no_formulas:
        if planned is None or planned.format != "csv":
            raise UsageError(
                "--no-formulas is for CSV, whose texts a spreadsheet calculates",
                hint="Leave it out, or write a .csv file.",
            )
        planned = replace(planned, no_formulas=True)
    home = load_config(config, set_).home
    home, run_id = (home, None) if run is None else named_run(home, run)
    with open_journal(home) as journal:
        record = journal.run(run_id)
        if planned is not None:
            for path, rows in write_export(journal, record.run_id, planned):
                _report(path, f"wrote {clean(written_name(path))}: {plural(rows, 'row')}")
        if mlflow is not None:
            other = record.paired_with if record.arm == "driver" else None
            paired = None if other is None else compare(journal, record.run_id, journal, other)
            out(f"logged as {log_run(mlflow, journal, record.run_id, paired)}")


def _report(path: Path, text: str) -> None:
    """Say that `path` was written; on standard error where standard output holds the file."""
    (err if writes_to_stdout([path]) else out)(text)
