"""The queries that the oracle judges, by source.

A file of the corpus holds queries that end with `;` at the end of a line. Comments in front of a
query may say `-- from 16` (the first server version with its syntax), `-- role: reader`, and
`-- ordered` (see `Case`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .records import Case

CORPUS = Path(__file__).parents[1] / "corpus"
SCHEMA = CORPUS / "schema.sql"

_COMMENTS = re.compile(r"(?:\s*--[^\n]*\n)*")
_SINCE = re.compile(r"-- from (\d+)")
_ROLE = re.compile(r"-- role: (\w+)")


def corpus_files() -> list[Path]:
    """Returns the files of queries, one for each kind."""
    return sorted(path for path in CORPUS.glob("*.sql") if path != SCHEMA)


def cases_of(path: Path) -> Iterator[Case]:
    """Yields the queries of a file, labelled with its name and their numbers."""
    for number, part in enumerate(re.split(r";[ \t]*(?:\n|\Z)", path.read_text("utf-8")), 1):
        comments = _COMMENTS.match(part)
        assert comments is not None
        sql = part[comments.end() :].strip()
        if sql:
            since, role = _SINCE.search(comments[0]), _ROLE.search(comments[0])
            yield Case(
                f"{path.stem}:{number}",
                sql,
                role and role[1],
                int(since[1]) if since else 0,
                ordered="-- ordered" in comments[0],
            )
