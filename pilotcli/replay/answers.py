"""Digests of the rows of queries, by what each query determines in the database under test."""

from __future__ import annotations

import threading

from pilotcli.analysis.determinacy import Determinacy
from pilotcli.analysis.fixed import NOTHING, Fixed
from pilotcli.analysis.result_digest import answer_of
from pilotcli.common.errors import DatabaseError, QueryError
from pilotcli.common.records import Query
from pilotcli.common.sql_commands import command_of
from pilotcli.databases.protocols import HasObjects, Rows, Target

_KEPT = 10_000
"""The most statements whose answer is remembered."""


class AnswerDigests:
    """Makes digests. Views and functions are read when first needed, and again after a statement
    that may have changed them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._judge: Determinacy | None = None
        self._known: dict[str, Fixed] = {}

    def __call__(self, query: Query, rows: Rows) -> str:
        """Returns the digest of the rows of `query`."""
        return answer_of(rows, self.fixed(query))

    def fixed(self, query: Query) -> Fixed:
        """Returns what `query` determines of its rows."""
        with self._lock:
            if command_of(query.command).changes_schema:
                self._judge = None
                self._known.clear()
            found = self._known.get(query.sql)
            if found is None:
                if self._judge is None:
                    target = self._target
                    try:
                        own = target.objects() if isinstance(target, HasObjects) else None
                    except (QueryError, DatabaseError):
                        return NOTHING  # until they can be read
                    self._judge = Determinacy(own)
                if len(self._known) >= _KEPT:
                    self._known.clear()
                found = self._known[query.sql] = self._judge.of(query.sql)
            return found
