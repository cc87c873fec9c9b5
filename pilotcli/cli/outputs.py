"""The files that `pilot run` and `pilot runs show` write for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path

from pilotcli.analysis.compare_named import open_journal
from pilotcli.analysis.comparison import Comparison
from pilotcli.cli.run_options import Outputs
from pilotcli.common.errors import UsageError
from pilotcli.reports.export import check_export, export_results
from pilotcli.reports.files import (
    STDOUT,
    check_distinct,
    check_file,
    is_regular,
    write_whole,
    writes_to_stdout,
)
from pilotcli.reports.html import read_report, write_html
from pilotcli.reports.junit import write_junit
from pilotcli.reports.mlflow import check_mlflow, log_run
from pilotcli.reports.summary import summary_text

_ENDINGS = {"--junit": (".xml",), "--report": (".html", ".htm")}


def check_outputs(outputs: Outputs, inputs: Sequence[str] = ()) -> None:
    """Raise `UsageError` for what could not be written later, and for a file of `inputs`, which
    the run reads."""
    own = {os.path.realpath(name) for name in inputs if name != STDOUT}
    named = [
        (option, path)
        for option, path in (
            ("--output", outputs.results),
            ("--junit", outputs.junit),
            ("--summary", outputs.summary),
            ("--report", outputs.report),
        )
        if path is not None
    ]
    for option, path in named:
        if is_regular(path) and os.path.realpath(path) in own:
            raise UsageError(
                f"{option} {path} is a file that the run reads, which it would replace",
                hint="Name another file.",
            )
        if option == "--output":
            check_export(path, option)
        else:
            check_file(path, option, *_ENDINGS.get(option, ()))
    check_distinct(named)
    if outputs.mlflow is not None:
        check_mlflow(outputs.mlflow)


def write_outputs(
    outputs: Outputs,
    home: Path,
    run_id: int,
    comparison: Comparison | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """Write the files about a run. Raises `StorageError`."""
    with open_journal(home) as journal:
        if outputs.results is not None:
            export_results(outputs.results, journal, run_id)
        if outputs.junit is not None:
            write_junit(outputs.junit, journal, run_id, comparison, reasons)
        if outputs.summary is not None:
            text = summary_text(journal, run_id, comparison, reasons)
            write_whole(outputs.summary, text)
        if outputs.mlflow is not None:
            log_run(outputs.mlflow, journal, run_id, comparison)
    if outputs.report is not None:
        write_html(outputs.report, read_report(home, str(run_id), None))


def shown_elsewhere(outputs: Outputs) -> AbstractContextManager[object]:
    """While this is open, what the run shows goes to standard error, if one of `outputs` is
    standard output."""
    files = (outputs.results, outputs.junit, outputs.summary, outputs.report)
    return redirect_stdout(sys.stderr) if writes_to_stdout(files) else nullcontext()
