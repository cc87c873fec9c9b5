"""The forum of pilot's demo, in any size: the server makes the rows when the schema is run."""

from __future__ import annotations

import contextlib
import re
from importlib import resources
from pathlib import Path

from pilotcli.benchmarks import folder
from pilotcli.benchmarks.request import Request
from pilotcli.common.errors import UsageError
from pilotcli.workload import open_workload

SCALES = (0.05, 20.0)
"""The least and the largest scale; with more posts, ranks overflow PostgreSQL's integers."""

_POSTS = 2000
_USERS = 20_000
_STEP = 7919  # spreads the ranks over a season's posts; a prime

_ABOUT = """\
A made-up forum with questions and answers: 8 tables, {posts:,} posts, {votes:,} votes and \
{users:,} users. A few users and posts have most of everything, and columns depend on each other: \
a planner that assumes the opposite is wrong. The server makes the rows from their numbers, so \
every server has the same. At a small scale some queries return no rows."""

_SOURCE = "Schema and queries are part of pilot (Apache License 2.0)."


def write_forum(place: Path, request: Request) -> tuple[int, int]:
    """Write the forum into the folder `place`; returns the numbers of queries."""
    assert request.scale is not None
    least, most = SCALES
    if not least <= request.scale <= most:
        raise UsageError(
            f"forum has no scale {request.scale:g}", hint=f"Choose one from {least} to {most:g}."
        )
    sizes = _sizes(request.scale)
    (place / "schema.sql").write_text(scaled_schema(request.scale), "utf-8")
    with (
        resources.as_file(resources.files(__name__) / "forum.sql") as path,
        contextlib.closing(open_workload([path])) as found,
    ):
        queries = [folder.LabelledQuery(query.label, query.sql) for query in found]
    counts = folder.write_queries(place / "queries", queries, request.seed)
    text = _ABOUT.format(posts=30 * sizes[_POSTS], votes=sizes[250_000], users=sizes[_USERS])
    title = f"The forum, scale {request.scale:g}"
    about = folder.About("forum", title, text, _SOURCE, request.command)
    folder.write_about(place, about, counts, request.seed)
    return counts


def scaled_schema(scale: float) -> str:
    """Returns the schema's text with the sizes of `scale`; that of the demo is scale 1."""
    sizes = _sizes(scale)
    text = (resources.files(__name__) / "forum_schema.sql").read_text("utf-8")
    return re.sub(r"(?<![\w.])\d+", lambda match: str(sizes.get(int(match[0]), match[0])), text)


def _sizes(scale: float) -> dict[int, int]:
    """Returns by each size in the demo's schema the size at `scale`."""
    posts = 20 * round(_POSTS * scale / 20)
    while posts % _STEP == 0:
        posts += 20
    users = round(_USERS * scale)
    first = users // 20
    return {
        250_000: round(250_000 * scale),
        120_000: round(120_000 * scale),
        40_000: round(40_000 * scale),
        60_000: 30 * posts,  # 30 seasons
        15_000: 30 * (posts // 4),
        500: posts // 4,
        _POSTS: posts,
        1999: posts - 1,
        1679: pow(_STEP, -1, posts),
        1200: posts * 3 // 5,
        400: posts // 5,
        _USERS: users,
        1000: first,
        19_000: users - first,
    }
