"""What `pilot db undo` does: shows and undoes what pilots have changed and not undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pilotcli.common.errors import UsageError
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.changes.autoconf import system_identifier
from pilotcli.databases.changes.log import Change, ChangeLog
from pilotcli.databases.embedded.admin import reset_servers, server_statuses
from pilotcli.databases.opening import open_postgres


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change that is in the log.

    `status`: `in use`, its pilot runs and undoes it itself; `left`, its pilot has ended; `undone`,
    it was undone now.
    """

    change: Change
    status: Literal["in use", "left", "undone"]


def pending_changes(config: PilotConfig) -> list[PendingChange]:
    """What is in the log of `config.home`, oldest first; opens no database."""
    log = ChangeLog(config.home)
    return [
        PendingChange(change, "left" if log.is_left(change) else "in use")
        for change in log.pending()
    ]


def undo_pending(config: PilotConfig, report_line: Callable[[str], None]) -> list[PendingChange]:
    """Undo what ended pilots have left on the server of `config`.

    `report_line` gets a line about each. Returns all changes that were pending before, also those
    of other servers, with what they are now. Raises what `open_postgres` raises.
    """
    before = pending_changes(config)
    if all(entry.status == "in use" for entry in before):
        return before
    with contextlib.closing(open_postgres(config, report_line)) as target:
        target.undo_left()
    now = {entry.change.change_id for entry in pending_changes(config)}
    return [
        entry if entry.change.change_id in now else PendingChange(entry.change, "undone")
        for entry in before
    ]


def forget_changes(config: PilotConfig, numbers: Sequence[int]) -> list[PendingChange]:
    """Take changes out of the log without undoing them. Raises `UsageError` for a number that is
    not there, or whose pilot still runs."""
    known = {entry.change.change_id: entry for entry in pending_changes(config)}
    for number in numbers:
        if number not in known:
            raise UsageError(
                f"there is no pending change {number}", hint="`pilot db undo --list` shows them."
            )
        if known[number].status == "in use":
            raise UsageError(
                f"the change {number} belongs to a pilot that runs "
                f"(process {known[number].change.owner.pid})",
                hint="It undoes its changes when it ends.",
            )
    ChangeLog(config.home).forget(numbers)
    return [known[number] for number in numbers]


def reset_and_forget(home: Path) -> list[Path]:
    """Delete the clusters under `home`, as `reset_servers` does, and what was pending in them."""
    before = {
        status.data_dir: system_identifier(status.data_dir) for status in server_statuses(home)
    }
    deleted = reset_servers(home)
    gone = {before.get(data_dir) for data_dir in deleted}
    log = ChangeLog(home)
    log.forget(change.change_id for change in log.pending() if change.server in gone)
    return deleted
