"""SQL files to a stream of queries, in bounded memory.

`open_workload` reads what a user names; `iter_statements` splits one script.
"""

from __future__ import annotations

from pilotcli.common.sql_commands import leading_keyword
from pilotcli.workload.psql.splitter import Statement
from pilotcli.workload.reader import is_one_statement, iter_statements
from pilotcli.workload.workload import Workload, open_workload

__all__ = [
    "Statement",
    "Workload",
    "is_one_statement",
    "iter_statements",
    "leading_keyword",
    "open_workload",
]
