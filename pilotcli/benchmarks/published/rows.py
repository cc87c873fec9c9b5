"""Writes the rows of published files as a script with COPY."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotcli.benchmarks.published.files import Table, plain
from pilotcli.common.errors import UsageError
from pilotcli.workload.paths import bare_name
from pilotcli.workload.sources import open_source

_BLOCK_BYTES = 1 << 20
_COPY = re.compile(rb"COPY .* FROM stdin;")
_OF_ROLES = re.compile(rb"(?:ALTER .* OWNER TO |GRANT |REVOKE |ALTER DEFAULT PRIVILEGES ).*;")
_ESCAPED = re.compile(rb'\\"(?![,\r\n])')
_DOUBLED = re.compile(rb'(?<![,\n"])""(?![,\r\n"])')
_SIGNS = {"csv": "", "tsv": "\t", "tbl": "|", "dat": "|"}
"""What stands between fields by the suffix of a file, if it is there; else a comma."""


@dataclass(frozen=True, slots=True)
class _Format:
    """How a file has its rows: the names in its first line, what COPY is told, and the sign that
    stands also at the end of each line, if it does."""

    names: tuple[str, ...]
    options: str
    last_sign: re.Pattern[bytes] | None


def write_rows(target: Path, table: Table, files: Sequence[Path], escape: str) -> None:
    """Write the rows in `files` to `target`, as `COPY table FROM STDIN` and data.

    `escape` is what stands before a quote in quotes where the files do not show it. Text that is
    not UTF-8 is taken as Latin-1. Raises `UsageError` for a file that has no rows.
    """
    format = _format(files[0], table, files, escape)
    columns = f" ({', '.join(format.names)})" if format.names else ""
    with target.open("wb") as out:
        out.write(f"COPY {table.name}{columns} FROM STDIN ({format.options}, FREEZE);\n".encode())
        for path in files:
            first = bool(format.names)
            for block in _blocks(path):
                text = block.partition(b"\n")[2] if first else block
                first = False
                out.write(format.last_sign.sub(b"", text) if format.last_sign else text)
        out.write(b"\\.\n")


def write_script(target: Path, script: Path) -> None:
    """Write a script of pg_dump to `target`, without what needs its roles: owners and rights."""
    in_rows = False
    with target.open("wb") as out:
        for block in _blocks(script):
            for line in block.splitlines(keepends=True):
                if in_rows:
                    in_rows = line.rstrip(b"\r\n") != b"\\."
                elif _COPY.match(line):
                    in_rows = True
                elif _OF_ROLES.match(line):
                    continue
                out.write(line)


def _format(path: Path, table: Table, files: Sequence[Path], escape: str) -> _Format:
    first = next(_blocks(path), b"").partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    if not first:
        raise UsageError(f"{path} has no rows", hint="Fetch it again, or leave its folder out.")
    kind = re.sub(r"\.\d+$", "", bare_name(path.name).lower()).rpartition(".")[2]
    signs = _SIGNS.get(kind, "|\t")
    sign = next((sign for sign in signs if sign in first), ",")
    if sign == ",":
        used = _escape_of(files) or escape
        if used == '"':
            fields, options = next(csv.reader([first])), "FORMAT csv"
        else:
            fields = next(csv.reader([first], doublequote=False, escapechar=used))
            options = f"FORMAT csv, ESCAPE '{used}'"
    else:
        fields = first.split(sign)
        options = f"FORMAT csv, DELIMITER '{sign}', QUOTE E'\\b'" if sign == "|" else "FORMAT text"
    known = {plain(column): column for column in table.columns}
    named = [known.get(field.strip().lower()) for field in fields]
    names = tuple(name for name in named if name is not None)
    last_sign = None
    if not fields[-1] and len(fields) == len(table.columns) + 1:
        last_sign = re.compile(re.escape(sign.encode()) + rb"(?=\r?\n)")
    return _Format(names if len(names) == len(named) else (), options, last_sign)


def _escape_of(files: Sequence[Path]) -> str | None:
    r"""Returns what stands before quotes in quotes: `"` or `\`, None where the files do not show
    it."""
    for path in files:
        for block in _blocks(path):
            if _ESCAPED.search(block):
                return "\\"
            if _DOUBLED.search(block):
                return '"'
    return None


def _blocks(path: Path) -> Iterator[bytes]:
    """Gives whole lines in UTF-8, unpacked, each block of about a megabyte. A last line without an
    end gets the end that the lines before it have."""
    with open_source(path).open() as read:
        rest, line_end = b"", b"\n"
        while data := read(_BLOCK_BYTES):
            end = data.rfind(b"\n") + 1
            if not end:
                rest += data
                continue
            if data.endswith(b"\r\n", 0, end):
                line_end = b"\r\n"
            yield _utf8(rest + data[:end])
            rest = data[end:]
        if rest:
            yield _utf8(rest + line_end)


def _utf8(block: bytes) -> bytes:
    if block.isascii():
        return block
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode("latin-1").encode()
    return block
