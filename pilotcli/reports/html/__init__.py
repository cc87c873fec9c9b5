"""The HTML report of a run, or of two: one file that needs nothing besides itself."""

from __future__ import annotations

import logging
from pathlib import Path

from pilotcli.reports.files import write_whole, written_name
from pilotcli.reports.html.data import HtmlReport, read_report
from pilotcli.reports.html.page import page, without_charts
from pilotcli.reports.html.svg import can_draw

__all__ = ["HtmlReport", "read_report", "write_html"]

log = logging.getLogger(__name__)


def write_html(path: Path, report: HtmlReport) -> None:
    """Write the page to `path`, whole or not at all; without matplotlib it has no charts, and a
    warning says so. Raises `StorageError`."""
    write_whole(path, page(report))
    if not can_draw():
        log.warning("%s: %s", written_name(path), without_charts(report))
