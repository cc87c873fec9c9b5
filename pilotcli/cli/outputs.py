"""The files that `pilot run` and `pilot runs show` write for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from pilotcli.analysis.comparison import Comparison

__all__ = ["JUnitOption", "MLflowOption", "Outputs", "SummaryOption"]

JUnitOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time on Python 3.10
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write queries and events as test cases in JUnit XML.",
        show_default=False,
    ),
]
SummaryOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--summary",
        metavar="FILE",
        help="Write a summary in Markdown, for the page of a CI job.",
        show_default=False,
    ),
]


MLflowOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Log parameters, metrics and checkpoints to this MLflow tracking store.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Which files to write about a run, once it has ended however it did."""

    results: Path | None = None
    junit: Path | None = None
    summary: Path | None = None
    report: Path | None = None
    mlflow: str | None = None

    def check(self) -> None:
        """Refuse what could not be written later (`UsageError`)."""
        from pilotcli.reports.files import check_file

        if self.junit is not None:
            check_file(self.junit, "--junit", ".xml")
        if self.summary is not None:
            check_file(self.summary, "--summary")
        if self.report is not None:
            check_file(self.report, "--report", ".html", ".htm")
        if self.mlflow is not None:
            from pilotcli.reports.mlflow import check_mlflow

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
        from pilotcli.analysis.compare_named import open_journal

        with open_journal(home) as journal:
            if self.results is not None:
                from pilotcli.reports.export import export_results

                export_results(self.results, journal, run_id)
            if self.junit is not None:
                from pilotcli.reports.junit import write_junit

                write_junit(self.junit, journal, run_id, comparison, reasons)
            if self.summary is not None:
                from pilotcli.reports.summary import write_summary

                write_summary(self.summary, journal, run_id, comparison, reasons)
            if self.mlflow is not None:
                from pilotcli.reports.mlflow import log_run

                log_run(self.mlflow, journal, run_id, comparison)
        if self.report is not None:
            from pilotcli.reports.html import read_report, write_html

            write_html(self.report, read_report(home, str(run_id), None))
