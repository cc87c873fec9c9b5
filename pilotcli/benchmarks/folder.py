"""A benchmark's folder: `schema.sql`, `data/`, `queries/`, `pilot.yaml` and `README.md`.

It is written under another name and renamed at the end, so that it is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import UsageError

TEST_SHARE = 0.2
"""The share of a benchmark's queries that goes to `queries/test/`."""

_CONFIG = """\
# {title}. README.md says where it comes from.

# All queries. Only those for training: pilot run queries/train
workload:
  - queries/train
  - queries/test

{database}

run:
  timeout: {timeout}
"""

_EMBEDDED = """\
# pilot's embedded PostgreSQL in .pilot/. The first run fills it.
database:
  name: {name}
  setup: schema.sql"""

_OTHER_SERVER = """\
# The server that has the tables, in the variable DSN: export DSN=postgresql://you@host/{name}
database:
  dsn: ${{DSN}}"""

_README = """\
# {title}

{about}

Made by: `{command}`

| file | holds |
| --- | --- |
{schema}| `queries/train/`, `queries/test/` | {train} and {test} queries, one in each file |
| `pilot.yaml` | what `pilot run` does in this folder |

Split: seed {seed} chose the {test} test queries from all {count}, each with the same chance.

```sh
{before}pilot run                  # all queries{first}
pilot run queries/train    # only those for training
```

{server}

## Source and licence

{source}
"""

_WITH_ROWS = {
    "schema": "| `schema.sql` | the tables, their rows, keys, indexes and statistics |\n",
    "before": "",
    "first": "; the first run fills the embedded server",
    "server": """\
For a server of yours: `psql -1 -v ON_ERROR_STOP=1 -f schema.sql "$DSN"`, and in `pilot.yaml` its
`dsn` in place of `name` and `setup`.""",
}
_WITHOUT_ROWS = {
    "schema": "",
    "before": "export DSN=postgresql://you@host/database\n",
    "first": "",
    "server": "The files that this folder was made from had no rows: the server must have them.",
}


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """A query, the label that is its file's name, and the answer that it must have, if known."""

    label: str
    sql: str
    expect: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the files say of a benchmark.

    `about` is a paragraph, `source` says where data and queries come from and under which licence,
    `command` is the command that makes the same folder. Without rows (`has_rows`) the queries are
    for a server that has the tables.
    """

    name: str
    title: str
    about: str
    source: str
    command: str
    timeout: str = "5min"
    has_rows: bool = True


@contextlib.contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Gives a folder to write into, which is renamed to `place` at the end.

    Raises `UsageError` where `place` exists, or where the system refuses to write. After any
    failure nothing is left.
    """
    refuse_existing(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as exc:
        raise _refused(exc, place) from exc
    try:
        draft.chmod(0o755)
        yield draft
        refuse_existing(place)
        draft.rename(place)
    except OSError as exc:
        raise _refused(exc, place) from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refuse_existing(place: Path) -> None:
    """Raise `UsageError` where `place` exists."""
    if place.exists() or place.is_symlink():
        raise UsageError(
            f"{place} exists already; nothing was written",
            hint="Name another folder with --into, or delete this one first.",
        )


def _refused(exc: OSError, place: Path) -> UsageError:
    return UsageError(
        f"{exc.filename or place}: {exc.strerror or exc}",
        hint="Name a folder with --into that you may write to, on a disk with space for the data.",
    )


def split(
    queries: Sequence[LabelledQuery], seed: int
) -> tuple[list[LabelledQuery], list[LabelledQuery]]:
    """Returns the queries for training and those for test, each in the order of `queries`.

    The same queries and seed give the same split. Two queries or more give at least one of each.
    """
    count = len(queries)
    tested = min(max(round(count * TEST_SHARE), 1), count - 1) if count > 1 else 0
    chosen = set(random.Random(seed).sample(range(count), tested))
    return (
        [query for number, query in enumerate(queries) if number not in chosen],
        [query for number, query in enumerate(queries) if number in chosen],
    )


def write_queries(folder: Path, queries: Sequence[LabelledQuery], seed: int) -> tuple[int, int]:
    """Write each query to a file in `train/` or `test/` of `folder`; returns how many are in each.

    A file is named like its query's label.
    """
    parts = split(queries, seed)
    for name, part in zip(("train", "test"), parts, strict=True):
        (folder / name).mkdir(parents=True)
        for query in part:
            expect = f"-- expect: {query.expect}\n" if query.expect is not None else ""
            text = f"{query.sql.strip().rstrip(';').rstrip()};\n"
            (folder / name / f"{query.label}.sql").write_text(expect + text, "utf-8")
    return len(parts[0]), len(parts[1])


def write_about(folder: Path, about: About, counts: tuple[int, int], seed: int) -> None:
    """Write `pilot.yaml` and `README.md`; `counts` are the numbers of queries in the parts."""
    database = (_EMBEDDED if about.has_rows else _OTHER_SERVER).format(
        name=database_name(about.name)
    )
    config = _CONFIG.format(title=about.title, database=database, timeout=about.timeout)
    if not counts[1]:
        config = config.replace("  - queries/test\n", "")
    (folder / "pilot.yaml").write_text(config, "utf-8")
    readme = _README.format(
        title=about.title,
        about=about.about,
        source=about.source,
        command=about.command,
        **(_WITH_ROWS if about.has_rows else _WITHOUT_ROWS),
        train=counts[0],
        test=counts[1],
        count=sum(counts),
        seed=seed,
    )
    (folder / "README.md").write_text(readme, "utf-8")


def database_name(name: str) -> str:
    """Returns `name` as a database's name that needs no quotes."""
    return re.sub(r"\W+", "_", name.lower())
