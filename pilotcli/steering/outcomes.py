"""Which pushes of a message were applied, by what the server has reported about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pilotcli.common.errors import PilotError
from pilotcli.steering.hint_plan import read_report
from pilotcli.steering.message import Message
from pilotcli.steering.not_applied import why_unused
from pilotcli.steering.plan_advice import read_feedback
from pilotcli.steering.planner import Report
from pilotcli.steering.subplans import GraphCatalog


def hint_outcomes(
    message: Message,
    notices: Sequence[str],
    error: PilotError | None,
    plan: Callable[[], Mapping[str, Any] | None],
    catalog: GraphCatalog,
) -> Iterator[tuple[str, str | None]]:
    """Yields each push that is a hint or advice, with why it was not applied; None if it was.

    `error` is that of the query; `plan` returns its plan, as an object with the key `Plan`.
    """
    report = read_report(notices) if message.hints else None
    for what, hint in message.hints:
        if report is None or (error is not None and not report.states):
            continue
        why = report.reason(hint, message.sent_hints)
        if why == "":
            found = plan()
            nodes = None if found is None else found["Plan"]
            why = why_unused(message.sql, nodes, hint, catalog)
        yield what, why
    feedback = read_feedback(notices) if message.advice else None
    for what, item in message.advice:
        shown = what if what == item.text else f"{what} as {item.text}"
        why = feedback.reason(item) if feedback is not None else None
        yield (shown, None) if why is None else (what, why)


def row_outcomes(
    message: Message, report: Report, error: PilotError | None
) -> dict[str, str | None]:
    """Returns, by pushed sub-plan query, why it was not applied; None if it was, to one of its
    sub-plans at least."""
    applied, reasons = frozenset(report.applied), dict(report.ignored)
    outcome: dict[str, str | None] = {}
    for at, key in enumerate(message.cards):
        if at in applied:
            outcome[key] = None
        elif at in reasons or error is None:
            outcome.setdefault(key, reasons.get(at, "the planner did not consider it"))
    return outcome
