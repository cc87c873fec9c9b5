"""The files that `pilot run` and `pilot runs show` write for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path

from pilotcli.analysis.compare_named import open_journal
from pilotcli.analysis.comparison import Comparison
from pilotcli.cli.run_options import Outputs
from pilotcli.common.errors import PilotError, UsageError
from pilotcli.reports.export import check_export, export_results
from pilotcli.reports.files import (
    check_distinct,
    check_file,
    is_regular,
    write_whole,
    writes_to_stdout,
)
from pilotcli.reports.html import read_report, write_html
from pilotcli.reports.junit import write_junit
from pilotcli.reports.junit import write_not_begun as write_junit_not_begun
from pilotcli.reports.mlflow import check_mlflow, log_run
from pilotcli.reports.summary import not_begun_text, summary_text

_ENDINGS = {"--junit": (".xml",), "--report": (".html", ".htm")}


def check_outputs(outputs: Outputs, inputs: Iterable[Path] = ()) -> None:
    """Raise `UsageError` for what could not be written later, and for a file of `inputs`, which
    the run reads."""
    own = {os.path.realpath(path) for path in inputs}
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


def write_not_begun(outputs: Outputs, problem: PilotError, *, checked: bool) -> None:
    """Leave no files of an earlier run, and say in those for CI that this one did not begin.

    Unless the outputs are `checked`, a file that no run of pilot has written stays: the run may
    read it. Raises `StorageError`.
    """
    for path in (outputs.results, outputs.report):
        if checked and path is not None and is_regular(path):
            path.unlink(missing_ok=True)
    if outputs.junit is not None and (checked or _begins(outputs.junit, b"<?xml ")):
        write_junit_not_begun(outputs.junit, problem)
    if outputs.summary is not None and (checked or _begins(outputs.summary, b"## ")):
        write_whole(outputs.summary, not_begun_text(problem))


def _begins(path: Path, head: bytes) -> bool:
    """Whether a file has this beginning, or is none yet."""
    try:
        with path.open("rb") as file:
            return is_regular(path) and file.read(len(head)) == head
    except FileNotFoundError:
        return True
    except OSError:
        return False


def shown_elsewhere(outputs: Outputs) -> AbstractContextManager[object]:
    """While this is open, what the run shows goes to standard error, if one of `outputs` is
    standard output."""
    files = (outputs.results, outputs.junit, outputs.summary, outputs.report)
    return redirect_stdout(sys.stderr) if writes_to_stdout(files) else nullcontext()
