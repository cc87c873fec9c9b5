"""The planner module: row estimates into and out of the planner of an unmodified PostgreSQL.

`pilot_planner.c` is compiled against the server's headers and loaded into a session with LOAD. Its
head describes its settings and messages. The modules here find, build and load it, write its
settings and read its messages.
"""

from __future__ import annotations

from pilotcli.steering.planner.advice import how_to_place
from pilotcli.steering.planner.building import (
    build,
    copy_out,
    find_built,
    find_pg_config,
    version_of,
)
from pilotcli.steering.planner.loading import Built, Missing, Planner, load, provide
from pilotcli.steering.planner.messages import Report, parse_report
from pilotcli.steering.planner.settings import REPORT_SETTING, ROWS_SETTING, rows_setting

__all__ = [
    "REPORT_SETTING",
    "ROWS_SETTING",
    "Built",
    "Missing",
    "Planner",
    "Report",
    "build",
    "copy_out",
    "find_built",
    "find_pg_config",
    "how_to_place",
    "load",
    "parse_report",
    "provide",
    "rows_setting",
    "version_of",
]
