"""The files that `pilot run` and `pilot runs show` write for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotcli.analysis.compare_named import open_journal
from pilotcli.analysis.comparison import Comparison
from pilotcli.reports.export import check_export, export_results
from pilotcli.reports.files import check_file
from pilotcli.reports.html import read_report, write_html
from pilotcli.reports.junit import write_junit
from pilotcli.reports.mlflow import check_mlflow, log_run
from pilotcli.reports.summary import write_summary

__all__ = ["Outputs"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Which files to write about a run, once it has ended in whatever way."""

    results: Path | None = None
    junit: Path | None = None
    summary: Path | None = None
    report: Path | None = None
    mlflow: str | None = None

    def check(self, workload: Sequence[str] = ()) -> None:
        """Raise `UsageError` for what could not be written later, or is a file of `workload`."""
        if self.results is not None:
            check_export(self.results, "--output", workload)
        if self.junit is not None:
            check_file(self.junit, "--junit", ".xml")
        if self.summary is not None:
            check_file(self.summary, "--summary")
        if self.report is not None:
            check_file(self.report, "--report", ".html", ".htm")
        if self.mlflow is not None:
            check_mlflow(self.mlflow)

    def write(
        self,
        home: Path,
        run_id: int,
        comparison: Comparison | None = None,
        reasons: Sequence[str] = (),
    ) -> None:
        """Write them. Raises `StorageError`."""
        if self == Outputs():
            return
        with open_journal(home) as journal:
            if self.results is not None:
                export_results(self.results, journal, run_id)
            if self.junit is not None:
                write_junit(self.junit, journal, run_id, comparison, reasons)
            if self.summary is not None:
                write_summary(self.summary, journal, run_id, comparison, reasons)
            if self.mlflow is not None:
                log_run(self.mlflow, journal, run_id, comparison)
        if self.report is not None:
            write_html(self.report, read_report(home, str(run_id), None))
