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
_MARK = b"\xef\xbb\xbf"
_ESCAPED = re.compile(rb'\\"(?![,\r\n])')
_DOUBLED = re.compile(rb'(?<![,\n"])""(?![,\r\n"])')
_EMPTY = re.compile(rb'(?<![^,;|\t\n])""(?=[,;|\t\r\n])')
_SIGNS = {"csv": ",;|\t", "tsv": "\t|,;", "tbl": "|,;\t", "dat": "|,;\t", "txt": "\t|,;"}
"""What may stand between fields by the suffix of a file: first the most likely."""


@dataclass(frozen=True, slots=True)
class _Format:
    """How a file has its rows: the names in its first line, what COPY is told, and the sign that
    stands also at the end of each line, if it does."""

    names: tuple[str, ...]
    options: str
    last_sign: bytes


def write_rows(target: Path, table: Table, files: Sequence[Path], escape: str) -> None:
    """Write the rows in `files` to `target`, as `COPY table FROM STDIN` and data.

    `escape` is what stands before a quote in quotes where the files do not show it. Text that is
    not UTF-8 is taken as Latin-1. Raises `UsageError` for a file that has no rows.
    """
    format = _format(files[0], table, files, escape)
    columns = f" ({', '.join(format.names)})" if format.names else ""
    line_end = b"\n"
    with target.open("wb") as out:
        out.write(f"COPY {table.name}{columns} FROM STDIN ({format.options}, FREEZE);\n".encode())
        for path in files:
            first = bool(format.names)
            for block in blocks(path):
                text = block.partition(b"\n")[2] if first else block
                first = False
                if format.last_sign:
                    for end in (b"\n", b"\r\n"):
                        text = text.replace(format.last_sign + end, end)
                out.write(text)
                line_end = b"\r\n" if text.endswith(b"\r\n") else b"\n"
        out.write(b"\\." + line_end)  # COPY wants the same end in all lines


def _format(path: Path, table: Table, files: Sequence[Path], escape: str) -> _Format:
    first = next(blocks(path), b"").partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    if not first:
        raise UsageError(f"{path} has no rows", hint="Fetch it again, or leave its folder out.")
    kind = re.sub(r"\.\d+$", "", bare_name(path.name).lower()).rpartition(".")[2]
    quoted = kind == "csv" or '"' in first
    used, has_empty = _quotes(files)
    used = used or escape
    counts = {
        sign: len(_fields(first, sign, used, quoted=quoted))
        for sign in _SIGNS[kind]
        if sign in first or len(table.columns) == 1
    }
    wanted = (len(table.columns), len(table.columns) + 1)
    sign = next((sign for sign in counts if counts[sign] in wanted), next(iter(counts), ","))
    if quoted and sign == "|" and kind != "csv":
        quoted = False
    fields = _fields(first, sign, used, quoted=quoted)
    known = {plain(column): column for column in table.columns}
    named = [known.get(field.strip().lower()) for field in fields]
    names = tuple(name for name in named if name is not None)
    ends = not fields[-1] and len(fields) == len(table.columns) + 1
    options = _options(sign, used, table.others if has_empty else (), quoted=quoted)
    names = names if len(names) == len(named) else ()
    return _Format(names, options, sign.encode() if ends else b"")


def _fields(line: str, sign: str, escape: str, *, quoted: bool) -> list[str]:
    if not quoted:
        return line.split(sign)
    if escape == '"':
        return next(csv.reader([line], delimiter=sign))
    return next(csv.reader([line], delimiter=sign, doublequote=False, escapechar=escape))


def _options(sign: str, escape: str, empty_is_null: Sequence[str], *, quoted: bool) -> str:
    """Returns what COPY is told; `empty_is_null` are columns in which `""` is no value."""
    if sign == "\t" and not quoted:
        return "FORMAT text"
    options = ["FORMAT csv"]
    if sign != ",":
        options.append("DELIMITER E'\\t'" if sign == "\t" else f"DELIMITER '{sign}'")
    if not quoted:
        options.append("QUOTE E'\\b'")
    elif escape != '"':
        options.append(f"ESCAPE '{escape}'")
    if quoted and empty_is_null:
        options.append(f"FORCE_NULL ({', '.join(empty_is_null)})")
    return ", ".join(options)


def _quotes(files: Sequence[Path]) -> tuple[str | None, bool]:
    r"""Returns what stands before quotes in quotes (`"`, `\`, None where the files do not show it),
    and whether a field is empty in quotes."""
    found, has_empty = None, False
    for path in files:
        for block in blocks(path):
            doubled = b'""' in block  # much faster to find than the patterns
            if found is None and b'\\"' in block and _ESCAPED.search(block):
                found = "\\"
            elif found is None and doubled and _DOUBLED.search(block):
                found = '"'
            has_empty = has_empty or (doubled and _EMPTY.search(block) is not None)
            if found is not None and has_empty:
                return found, has_empty
    return found, has_empty


def blocks(path: Path) -> Iterator[bytes]:
    """Gives whole lines in UTF-8, unpacked, each block of about a megabyte. A last line without an
    end gets the end that the lines before it have."""
    with open_source(path).open() as read:
        rest, line_end = read(len(_MARK)).removeprefix(_MARK), b"\n"
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
