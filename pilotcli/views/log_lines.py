"""What pilot's own modules log, as lines that a terminal can be given."""

from __future__ import annotations

import logging

from pilotcli.common.redaction import redacted
from pilotcli.views.console import err
from pilotcli.views.text import clean


class LogLines(logging.Handler):
    """Writes records to standard error without secrets and control characters."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, a line at a time."""
        try:
            for line in redacted(self.format(record)).splitlines():
                err(clean(line))
        except Exception:  # noqa: BLE001 - logging reports it
            self.handleError(record)
