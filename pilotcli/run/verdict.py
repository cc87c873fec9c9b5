"""How a run ended: its counts, its exit code, and the reasons for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.common.errors import DriverError, Interrupted, PilotError, text_of
from pilotcli.common.quantities import plural
from pilotcli.common.records import RunStatus
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import EventTriggered, RunFinished
from pilotcli.common.suggestions import sentences
from pilotcli.events.runner import EventRunner
from pilotcli.replay.tally import Tally

MOST_ERROR_CHARS = 300
"""The longest part of a driver's error in a reason; the journal has all of it."""
Reason = tuple[int, str]
"""An exit code, and the line that says why."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The facts that decide how a run ended, besides its events."""

    tally: Tally
    elapsed_s: float
    failures: Sequence[BaseException] = ()
    """The errors that ended the run, or lost data at its end."""
    reasons: Sequence[Reason] = ()
    """Further reasons for failure: failed roll-backs, and the comparison with a baseline."""
    interrupted: bool = False
    complete: bool = False
    """Whether all queries had ended before."""
    max_failures: int = 0
    no_relations: str | None = None
    """What to do if no query has found its relations."""


def summarise(
    run_id: int,
    end: RunEnd,
    events: EventRunner,
    rollbacks: Sequence[str],
) -> RunFinished:
    """Returns the counts of an ended run, and the exit code that follows from its failures."""
    tally, statuses = end.tally, end.tally.statuses
    reasons = _reasons(end, events.failures)
    exit_code = reasons[0][0] if reasons else 0
    status: RunStatus = "failed" if exit_code else "finished"
    if exit_code == Interrupted.exit_code:
        status = "finished" if end.complete else "interrupted"
    return RunFinished(
        run_id=run_id,
        status=status,
        exit_code=exit_code,
        queries=tally.queries,
        ok=statuses["ok"],
        errors=statuses["error"] + statuses["steering_error"],
        timeouts=statuses["timeout"],
        cancelled=statuses["cancelled"],
        event_firings=events.firings,
        event_failures=len(events.failures),
        elapsed_s=end.elapsed_s,
        query_s=tally.query_s,
        slowest=tally.slowest,
        reasons=tuple(text for _, text in reasons),
        steered=tally.steered,
        ignored=tally.ignored,
        native=tally.native,
        rollbacks=tuple(rollbacks),
        wrong=tally.wrong,
    )


def _reasons(end: RunEnd, event_failures: Sequence[EventTriggered]) -> list[Reason]:
    """Why the run failed, the most important reason first."""
    reasons: list[Reason] = []
    if end.interrupted:
        text = "interrupted after the last query" if end.complete else "interrupted"
        reasons.append((Interrupted.exit_code, text))
    for exc in end.failures:
        if isinstance(exc, Interrupted):
            continue
        code, hint = (exc.exit_code, exc.hint) if isinstance(exc, PilotError) else (1, None)
        reasons.append((code, redacted(sentences(text_of(exc), hint))))
    if event_failures:
        reasons.append((DriverError.exit_code, f"events failed: {_failed(event_failures)}"))
    if unsteered := end.tally.statuses["steering_error"]:
        text = f"steering failed for {plural(unsteered, 'query', 'queries')}"
        reasons.append((DriverError.exit_code, _because(text, end.tally.steering_error)))
    if wrong := end.tally.wrong:
        text = f"{plural(wrong, 'query', 'queries')} gave a wrong answer"
        reasons.append((1, text))
    if (others := end.tally.failures - wrong) > end.max_failures:
        failed = plural(others, "query", "queries")
        text = f"{failed} failed ({end.max_failures} allowed)"
        if end.no_relations and end.tally.unknown_relations == end.tally.queries:
            text += f": {end.no_relations}"
        reasons.append((1, text))
    return [*reasons, *end.reasons]


def _failed(failures: Sequence[EventTriggered]) -> str:
    """The names of the events that failed, each with its first error."""
    errors: dict[str, str | None] = {}
    for failure in failures:
        errors.setdefault(failure.event, failure.error)
    return ", ".join(_because(name, errors[name]) for name in sorted(errors))


def _because(text: str, error: str | None) -> str:
    """`text`, and the first line of `error` in parentheses."""
    line = next((line.strip() for line in (error or "").splitlines() if line.strip()), "")
    if len(line) > MOST_ERROR_CHARS:
        line = f"{line[:MOST_ERROR_CHARS]}…"
    return f"{text} ({line})" if line else text
