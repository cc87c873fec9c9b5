"""One frame of the live view, as lines that fit the given columns and rows.

Lines keep their places from frame to frame, so that nothing jumps. Where the terminal is too low,
first what only a large one has goes, then the tables lose rows, and then the least important lines
go. A wide terminal has two panes below the head.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilotcli.views import sections
from pilotcli.views.head import head
from pilotcli.views.state import RunState
from pilotcli.views.text import Line, clip_line, line_text, width

WIDEST = 120
"""Columns beyond which a frame of one pane does not grow: a longer bar says no more."""
TWO_PANES = 140
"""Columns from which there are two panes."""
WIDEST_OF_TWO = 200
_GAP = 3
LARGE = 28
"""Rows from which a frame has more than the head and the tables of events and models."""
LAST_SHOWN = 20
LAST_LEAST = 5
SLOWED_SHOWN = 5
SLOWED_MOST = 10


def frame(state: RunState, columns: int, rows: int) -> list[Line]:
    """What the live view shows now, in at most `rows` lines of at most `columns` columns."""
    rows = max(1, rows)
    large = rows >= LARGE and (state.total != 0 or state.progress.ended > 0)
    two = large and columns >= TWO_PANES
    columns = max(1, min(columns, WIDEST_OF_TWO if two else WIDEST))
    top = head(state, columns, rows, with_worst=not large)
    if large:
        # Room above the frame is for what drivers print, and for failures.
        room = rows * 4 // 5 - len(top)
        below, with_slowed = (_panes if two else _stacked)(state, columns, room)
        if not with_slowed:
            top = head(state, columns, rows, with_worst=True)
    else:
        below = _fit(_tables(state, columns), rows - len(top))
    return [clip_line(line, columns) for line in [*top, *below][:rows]]


def _tables(state: RunState, columns: int) -> list[tuple[list[Line], list[int]]]:
    events = sections.events(state, columns), sections.events_by_interest(state)
    models = sections.models(state, columns), list(range(len(state.models)))
    return [(lines, order) for lines, order in (events, models) if lines]


def _stacked(state: RunState, columns: int, room: int) -> tuple[list[Line], bool]:
    """All sections below each other in about `room` lines, and whether the slowed queries are among
    them. Events, models and the last queries come first, then slowed queries, then the chart."""
    lines = _fit(_tables(state, columns), room)
    left = room - len(lines)
    chart = sections.latencies(state)
    slowed_rows = last_rows = 0
    if left > LAST_LEAST:
        last_rows = LAST_LEAST
        left -= LAST_LEAST + 1
    if state.compared and left > SLOWED_SHOWN + 1:
        slowed_rows = SLOWED_SHOWN + 1
        left -= slowed_rows + 1
    if left <= len(chart):
        chart = []
    elif chart:
        left -= len(chart) + 1
    if last_rows:
        last_rows = min(LAST_SHOWN + 1, last_rows + max(0, left))
    blocks = [
        chart,
        sections.slowed(state, columns, slowed_rows),
        sections.last_queries(state, columns, last_rows),
    ]
    return [*lines, *_below(blocks)], slowed_rows > 0


def _panes(state: RunState, columns: int, room: int) -> tuple[list[Line], bool]:
    """Two panes side by side, the driver on the left and its queries on the right, and whether the
    slowed queries are among them."""
    wide = (columns - _GAP) // 2
    left = _fit(_tables(state, wide), room)
    chart = sections.latencies(state)
    if room - len(left) > len(chart):
        left += _below([chart])
    slowed_rows = min(SLOWED_MOST, max(SLOWED_SHOWN, room // 3)) + 1 if state.compared else 0
    last_rows = min(LAST_SHOWN + 1, room - slowed_rows - (2 if slowed_rows else 1))
    right = _below(
        [sections.slowed(state, wide, slowed_rows), sections.last_queries(state, wide, last_rows)]
    )
    height = max(len(left), len(right))
    blanks: list[Line] = [[] for _ in range(height)]
    pairs = zip([*left, *blanks][:height], [*right, *blanks][:height], strict=True)
    lines = [_beside(clip_line(one, wide), other, wide + _GAP) for one, other in pairs]
    return lines, slowed_rows > 0


def _beside(left: Line, right: Line, columns: int) -> Line:
    """`right`, from the given column on, in the line of `left`."""
    if not right:
        return left
    return [*left, (" " * (columns - width(line_text(left))), ""), *right]


def _below(blocks: Sequence[list[Line]]) -> list[Line]:
    """The blocks that have lines, each after a blank line."""
    return [line for block in blocks if block for line in ([], *block)]


def _fit(tables: Sequence[tuple[list[Line], list[int]]], rows: int) -> list[Line]:
    """The tables below each other in at most `rows` lines; each begins with its header, and comes
    with the places of its rows, those first that are left out last."""
    lines: list[Line] = []
    for place, (section, order) in enumerate(tables):
        later = sum(len(other) + 1 for other, _ in tables[place + 1 :])
        left = rows - len(lines)
        # Each may have what the others do not need, and at least its share.
        allowed = max(left - later, left // (len(tables) - place))
        lines += _cut(section, order, allowed)
    return lines


def _cut(lines: list[Line], order: Sequence[int], rows: int) -> list[Line]:
    """A blank line, the header and as many rows as fit; how many are missing is the last line."""
    if len(lines) + 1 <= rows:
        return [[], *lines]
    if rows < 3:
        return []
    shown = sorted(order[: rows - 3])
    left_out = len(order) - len(shown)
    return [[], lines[0], *(lines[1 + at] for at in shown), [(f"  … {left_out} more", "dim")]]
