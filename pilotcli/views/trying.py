"""What `pilot handlers try` shows: pushes, what the server took, and both plans."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from pilotcli.analysis.plan_changes import plan_changes
from pilotcli.analysis.plans import tree_of
from pilotcli.analysis.wording import push_kind, push_text
from pilotcli.common.errors import CapabilityError, DriverError, PilotError
from pilotcli.common.failures import own_traceback, place_of
from pilotcli.common.quantities import duration
from pilotcli.run.trying import Side, Tried
from pilotcli.views.console import out
from pilotcli.views.firing import show_traceback
from pilotcli.views.plan_pair import show_beside, show_listed, show_query, tree_lines
from pilotcli.views.text import Line, clean


def show_tried(tried: Tried, name: str, *, full_traceback: bool, debugged: bool) -> None:
    """Write what a handler does to a query. Raises the error for which the query would not run,
    after what there is to show."""
    query = tried.query
    show_query(query.label, query.sql, query.file, query.line)
    _show_pushes(tried, name)
    error = tried.error
    if isinstance(error, (DriverError, CapabilityError)):
        raised = error.original
        if raised is not None and place_of(raised) is not None:
            whole = "".join(traceback.format_exception(raised))
            show_traceback(whole, whole if full_traceback else own_traceback(raised))
            hint = error.hint or (None if debugged else "Look around where it failed: add --pdb.")
            raise _with_name(error, name, hint)
        raise _with_name(error, name, error.hint)
    out()
    show_beside(_side("native", tried.native), _side(f"with {name}", tried.steered))
    _show_differences(tried)
    if error is not None:
        raise error


def _with_name(error: PilotError, name: str, hint: str | None) -> PilotError:
    named = error.message.startswith(f"{name}: ")
    kind = type(error) if isinstance(error, CapabilityError) else DriverError
    return kind(error.message if named else f"{name}: {error.message}", hint=hint)


def _show_pushes(tried: Tried, name: str) -> None:
    cards = dict(tried.cards)
    for push in tried.pushed:
        out(f"pushed {push_kind(push, cards)}: {clean(push_text(push, cards))}")
    for change in tried.changes:
        out(f"for the whole workload, undone after this: {clean(change)}")
    for push, why in tried.refused:
        out(f"not applied: {clean(push)}: {clean(why)}")
    planned = tried.steered.plan is not None
    if planned and not (tried.pushed or tried.changes or tried.refused):
        out(f"{clean(name)} pushes nothing for this query")
    for key, value in (tried.logged or {}).items():
        out(f"logged: {clean(key)} = {clean(str(value))}")
    for note in tried.notes:
        out(f"note: {clean(note)}")
    if tried.inference_s:
        out(f"{clean(name)} took {duration(tried.inference_s)}")


def _side(title: str, side: Side) -> list[Line]:
    took = "" if side.elapsed_s is None else f"   {duration(side.elapsed_s)}"
    lines: list[Line] = [[(title, "bold"), (took, "")], [("", "")]]
    tree = None if side.plan is None else tree_of(side.plan)
    if tree is not None:
        return lines + tree_lines(tree)
    why = "the server gives none for this statement" if side.error is None else side.error.message
    return [*lines, [(f"no plan: {clean(why)}", "yellow")]]


def _show_differences(tried: Tried) -> None:
    before, after = tried.native.plan, tried.steered.plan
    if before is None or after is None:
        return
    changes: Sequence[str] = plan_changes(before, after)
    if changes:
        show_listed("What differs", changes)
    else:
        out("\nThe plans have the same structure, and much the same estimates.")
