"""The HTML report of a run, or of two: one file that needs nothing besides itself."""

from __future__ import annotations

from pathlib import Path

from pilotcli.reports.files import write_whole
from pilotcli.reports.html.data import HtmlReport, read_report
from pilotcli.reports.html.page import page

__all__ = ["HtmlReport", "read_report", "write_html"]


def write_html(path: Path, report: HtmlReport) -> None:
    """Write the page to `path`, whole or not at all. Raises `StorageError`."""
    write_whole(path, page(report))
