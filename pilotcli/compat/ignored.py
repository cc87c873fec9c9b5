"""Says in a script which pushes the server does not take: it has no live view and no summary."""

from __future__ import annotations

import logging

from pilotcli.common.records import SteeringReport

log = logging.getLogger(__name__)

_reported: set[str] = set()


def warn_ignored(report: SteeringReport | None) -> None:
    """Log why pushes are ignored, each reason once per process."""
    for what, reason in () if report is None else report.ignored:
        if reason not in _reported:
            _reported.add(reason)
            log.warning("a push is ignored, since %s (see pilot doctor): %s", reason, what)
