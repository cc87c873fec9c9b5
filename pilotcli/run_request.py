"""What a run is asked to do. Apart from the runner, so that it can be looked at without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from pilotcli.config import RunConfig
from pilotcli.config.model import EventSpec
from pilotcli.errors import UsageError
from pilotcli.names import did_you_mean

__all__ = ["RunRequest", "select_events"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to replay, and with which events.

    `workload` names files, globs and folders; empty means the config's. `events` names the events
    to use; None means those that the config enables, an empty tuple none.
    """

    config: RunConfig
    workload: tuple[str, ...] = ()
    events: tuple[str, ...] | None = None
    stdin: BinaryIO | None = None


def select_events(
    events: Sequence[EventSpec], names: Sequence[str] | None
) -> tuple[EventSpec, ...]:
    """The enabled events, or those in `names`, in the config's order.

    Raises `UsageError` for a name that the config does not have.
    """
    if names is None:
        return tuple(spec for spec in events if spec.enabled)
    known = [spec.name for spec in events]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, listed="The config has")
            raise UsageError(f"the config has no event named {name!r}", hint=hint)
    return tuple(replace(spec, enabled=True) for spec in events if spec.name in names)
