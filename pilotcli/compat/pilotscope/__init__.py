"""The package `pilotscope`, as far as drivers use it; see `pilotcli.compat`."""

from __future__ import annotations

import logging
from pathlib import Path

from pilotcli.compat import install

log = logging.getLogger(__name__)


def _warn(takes_ours: bool, installed: Path | None) -> None:
    if not takes_ours:
        log.warning("pilotscope is the one in %s, not pilot's own", installed)


install(report=_warn)
