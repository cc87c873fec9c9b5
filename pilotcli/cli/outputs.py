"""The files that `pilot run` and `pilot runs show` write for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pilotcli.analysis.compare_named import open_journal
from pilotcli.analysis.comparison import Comparison
from pilotcli.cli.run_options import Outputs
from pilotcli.reports.export import check_export, export_results
from pilotcli.reports.files import check_file, write_whole
from pilotcli.reports.html import read_report, write_html
from pilotcli.reports.junit import write_junit
from pilotcli.reports.mlflow import check_mlflow, log_run
from pilotcli.reports.summary import summary_text


def check_outputs(outputs: Outputs, workload: Sequence[str] = ()) -> None:
    """Raise `UsageError` for what could not be written later, or is a file of `workload`."""
    if outputs.results is not None:
        check_export(outputs.results, "--output", workload)
    if outputs.junit is not None:
        check_file(outputs.junit, "--junit", ".xml")
    if outputs.summary is not None:
        check_file(outputs.summary, "--summary")
    if outputs.report is not None:
        check_file(outputs.report, "--report", ".html", ".htm")
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
