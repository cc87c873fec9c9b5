"""The journal: what happened in each run, kept in one SQLite file under `home`."""

from __future__ import annotations

from pilotcli.storage.journal.journal import Journal
from pilotcli.storage.journal.reader import JournalReader
from pilotcli.storage.journal.records import (
    Arm,
    BegunFiring,
    EventTotals,
    FiringRecord,
    PastRun,
    PlanRecord,
    QueryRecord,
    RunFilter,
    RunKind,
    RunRecord,
    RunStatistics,
    TimelinePart,
)
from pilotcli.storage.journal.writer import RunJournal

__all__ = [
    "Arm",
    "BegunFiring",
    "EventTotals",
    "FiringRecord",
    "Journal",
    "JournalReader",
    "PastRun",
    "PlanRecord",
    "QueryRecord",
    "RunFilter",
    "RunJournal",
    "RunKind",
    "RunRecord",
    "RunStatistics",
    "TimelinePart",
]
