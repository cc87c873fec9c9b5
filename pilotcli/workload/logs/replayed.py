"""Logs that a run reads as they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from pilotcli.common.records import NO_FACTS, QueryFacts
from pilotcli.workload.logs.convert import LogConverter
from pilotcli.workload.logs.files import Log
from pilotcli.workload.psql.script import Found
from pilotcli.workload.psql.splitter import Statement

_BATCH = 200


class LogReader:
    """Reads the logs among the files of a workload, as one log.

    `notify` receives the kind and the text of what the user should know.
    """

    def __init__(self, notify: Callable[[str, str], object]) -> None:
        self._notify = notify
        self._converter = LogConverter()

    def end(self) -> None:
        """Say what was left out."""
        for note in self._converter.notes():
            self._notify(note, note)

    def read(self, source: Log) -> Iterator[Found]:
        """The statements of a log."""
        if source.format.guessed:
            text = f"{source.guess()}; pilot workloads from-log takes another one"
            self._notify(text, text)
        statements = self._converter.read([source])
        while batch := list(itertools.islice(statements, _BATCH)):
            first_s = self._converter.first_s or 0.0
            found = []
            for one in batch:
                at_s = round(max(0.0, one.started - first_s), 6)
                facts = QueryFacts(None, one.session, at_s) if one.session else NO_FACTS
                found.append(Statement(one.sql, one.line, one.command, one.label, None, facts))
            yield source.source.name, found, None
        if not self._converter.count:
            raise self._converter.no_statement()
