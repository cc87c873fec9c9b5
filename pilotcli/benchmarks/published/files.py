"""Tells which of many files are a benchmark's schema, rows, indexes and queries."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pilotcli.benchmarks.published.dumps import is_dump, is_script
from pilotcli.benchmarks.published.names import Published
from pilotcli.benchmarks.published.origins import Opened
from pilotcli.common.errors import WorkloadError
from pilotcli.workload.kinds import compression
from pilotcli.workload.lines import line_format
from pilotcli.workload.paths import bare_name, natural_key
from pilotcli.workload.psql.window import Window
from pilotcli.workload.reader import iter_statements
from pilotcli.workload.sources import open_source

_SQL = (".sql", ".ddl", ".txt")
_ROWS = ("csv", "tsv", "tbl", "dat", "txt")
_LARGEST_SCRIPT = 4 << 20
_HEAD_BYTES = 1 << 12
_NAME = r'(?:[\w$]+|"(?:[^"]|"")+")'
_TABLE = re.compile(
    rf"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>(?:{_NAME}\s*\.\s*)?{_NAME})"
    r"\s*\((?P<body>.*)\)",
    re.IGNORECASE | re.DOTALL,
)
_INDEX = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?P<name>{_NAME}\s+)?ON\s+(?:ONLY\s+)?(?P<table>{_NAME})\b",
    re.IGNORECASE,
)
_ALTER = re.compile(rf"ALTER\s+TABLE\s+(?:ONLY\s+)?(?P<table>{_NAME})\s+ADD\b", re.IGNORECASE)
_COLUMN = re.compile(
    rf"(?P<name>{_NAME})\s+(?P<text>(?:char|varchar|text|bpchar|name|citext|json)\b|character)?",
    re.IGNORECASE,
)
_PARTS_OF_TABLES = re.compile(
    r"(?:PRIMARY|FOREIGN|UNIQUE|CHECK|CONSTRAINT|EXCLUDE|LIKE)\b", re.IGNORECASE
)
_SUB_PLANS = re.compile(r"sub[-_]?(?:plan|quer)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a schema, with the names as the schema writes them; `others` are the columns that
    hold no text."""

    name: str
    columns: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(slots=True)
class Found:
    """What was found.

    - `schema`: the statements that create the tables; `dump`: an archive or script of pg_dump;
    - `rows`: the files with the rows of each table, by its name;
    - `keys`: the statements that make keys and indexes;
    - `queries`: the files with queries; `templates` and `pickles`: files that are not yet queries;
    - `used`: all files of which something was taken, or could have been.
    """

    schema: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    dump: Path | None = None
    dump_is_script: bool = False
    rows: dict[str, list[Path]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    queries: list[Path] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    pickles: list[str] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)


def plain(name: str) -> str:
    """Returns an identifier as the server knows it: `"a"` and `A` are `a`."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def tell_apart(opened: Sequence[Opened], benchmark: Published, own_schema: str) -> Found:
    """Returns what the files are; `own_schema` is taken where none of them is a schema."""
    found = Found()
    scripts: list[tuple[Path, list[str]]] = []
    queries: list[tuple[Path, str]] = []
    files = [file for each in opened for file in each.files]
    for path, name in files:
        lower = bare_name(name).lower()
        head = _head(path)
        if is_dump(head) or path.name == "toc.dat" or is_script(head):
            if found.dump is None:
                found.dump = path.parent if path.name == "toc.dat" else path
                found.dump_is_script = is_script(head)
                found.used.add(path)
        elif lower.endswith(".tpl"):
            found.templates.append(name)
            found.used.add(path)
        elif lower.endswith((".pkl", ".pickle")):
            found.pickles.append(name)
            found.used.add(path)
        elif lower.endswith(_SQL):
            named = benchmark.queries.search(lower) is not None
            statements = None if named else _statements(path, head)
            if statements is None:
                queries.append((path, name))
            else:
                scripts.append((path, statements))
    ready = not (found.templates or found.pickles)
    found.queries = _queries(queries, benchmark, others=ready)
    found.schema, found.tables, script = _schema(scripts, benchmark, own_schema)
    found.rows = _rows(files, found.tables)
    known = {plain(table.name) for table in found.tables}
    names: set[str] = set()
    for path, statements in scripts:
        keys = _keys(statements, known, names)
        found.keys += keys
        if keys or path == script:
            found.used.add(path)
    found.used.update(*found.rows.values(), found.queries)
    return found


def _head(path: Path) -> bytes:
    """Returns the first bytes, unpacked where the name says that the file is compressed."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if compression(head) is None or bare_name(path.name) == path.name:
        return head
    with open_source(path).open() as read:
        return read(_HEAD_BYTES)


def _statements(path: Path, head: bytes) -> list[str] | None:
    """Returns the statements of a script that is no query; None for a file with queries."""
    window = Window(io.BytesIO(head).read, path.name, _HEAD_BYTES)
    window.more()
    if line_format(window) is not None:
        return None
    if path.stat().st_size > _LARGEST_SCRIPT:
        text = head[: head.rfind(b";") + 1]
        return [] if _first_word(text) not in ("SELECT", "WITH") else None
    text = path.read_bytes()
    if _first_word(text) in ("SELECT", "WITH"):
        return None
    return list(_readable(text))


def _first_word(text: bytes) -> str:
    try:
        first = next(iter_statements(io.BytesIO(text)), None)
    except WorkloadError:
        return ""
    return first.command if first is not None else ""


def _readable(text: bytes) -> Iterator[str]:
    """Gives the statements up to one that pilot cannot read, such as `\\copy`."""
    try:
        for statement in iter_statements(io.BytesIO(text)):
            yield statement.sql
    except WorkloadError:
        return


def _queries(
    files: Sequence[tuple[Path, str]], benchmark: Published, *, others: bool
) -> list[Path]:
    """Returns the files that are called like the benchmark's; if none is, those with queries, where
    `others` may be taken. Files with sub-plans are left out."""
    whole = [file for file in files if not _SUB_PLANS.search(file[1])]
    named = [file for file in whole if benchmark.queries.search(bare_name(file[1]))]
    chosen = named or (whole if others else [])
    return [path for path, name in sorted(chosen, key=lambda file: natural_key(file[1]))]


def _schema(
    scripts: Sequence[tuple[Path, list[str]]], benchmark: Published, own_schema: str
) -> tuple[list[str], list[Table], Path | None]:
    """Returns what the script that creates most of the benchmark's tables has: statements and
    tables; and its path."""
    own = list(_readable(own_schema.encode()))
    best: tuple[list[str], list[Table], Path | None] = ([], [], None)
    most = 0
    for path, statements in (*scripts, (None, own)):
        created = [sql for sql in statements if sql[:6].upper() == "CREATE"]
        tables = [table for sql in created if (table := _table(sql)) is not None]
        expected = len(benchmark.tables & {plain(table.name) for table in tables})
        if expected > most:
            most = expected
            kept = [sql for sql in created if _INDEX.match(sql) is None]
            best = (kept, tables, path)
    return best


def _table(sql: str) -> Table | None:
    match = _TABLE.match(sql)
    if match is None:
        return None
    columns = []
    for part in _parts(match["body"]):
        column = None if _PARTS_OF_TABLES.match(part) else _COLUMN.match(part)
        if column is not None:
            columns.append((column["name"], column["text"] is None))
    names = tuple(name for name, _ in columns)
    return Table(match["name"], names, tuple(name for name, other in columns if other))


def _parts(body: str) -> list[str]:
    """Returns what stands between the commas that are in no parentheses, without comments."""
    body = re.sub(r"--[^\n]*|/\*.*?\*/", " ", body, flags=re.DOTALL)
    parts, depth = [""], 0
    for character in body:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _rows(files: Sequence[tuple[Path, str]], tables: Sequence[Table]) -> dict[str, list[Path]]:
    """Returns the files of each table: all those of one kind in one folder.

    Of several folders it is the one with files of most tables, and then the first.
    """
    found: dict[str, dict[tuple[int, Path], dict[str, Path]]] = {}
    for table in tables:
        name = re.escape(plain(table.name.rpartition(".")[2]))
        # store_sales_1_4.dat and lineorder.tbl.1 are parts of a table
        pattern = re.compile(rf"{name}(?:_\d+_\d+)?\.({'|'.join(_ROWS)})(?:\.\d+)?")
        for path, _ in files:
            base = bare_name(path.name).lower()
            if match := pattern.fullmatch(base):
                group = (_ROWS.index(match[1]), path.parent)
                found.setdefault(table.name, {}).setdefault(group, {}).setdefault(base, path)
    folders = Counter(folder for groups in found.values() for folder in {at for _, at in groups})
    rows = {}
    for table_name, groups in found.items():
        best = min(groups, key=lambda group: (-folders[group[1]], group[0]))
        parts = groups[best]
        rows[table_name] = [parts[base] for base in sorted(parts, key=natural_key)]
    return rows


def _keys(statements: Sequence[str], known: set[str], names: set[str]) -> list[str]:
    """Returns the statements that make indexes and keys of the `known` tables.

    `names` are those that there are already; they are not made again.
    """
    keys = []
    for sql in statements:
        match = _INDEX.match(sql) or _ALTER.match(sql)
        if match is None or plain(match["table"]) not in known:
            continue
        name = match.groupdict().get("name") or " ".join(sql.split())
        if plain(name.strip()) not in names:
            names.add(plain(name.strip()))
            keys.append(sql)
    return keys
