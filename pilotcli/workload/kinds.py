"""Tells the kind of a workload's file by its first bytes.

What pilot cannot read is refused by its name, with the command that makes SQL of it.
"""

from __future__ import annotations

import re

from pilotcli.common.errors import WorkloadError

HEAD_BYTES = 512
"""How much of a file tells its kind: a tar archive shows at byte 257."""

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
LONGEST_SIGNATURE = 10

_EXPORT = "Write its queries into a .csv or .jsonl file, with a column or key sql."
_NAME_SQL = "Name a file with SQL."
_REFUSED = (
    (b"PGDMP", "an archive of pg_dump", "Turn it into SQL: pg_restore -f workload.sql {file}"),
    (b"PGCOPY\n\xff\r\n\0", "binary COPY data", "Load it with COPY ... WITH (FORMAT binary)."),
    (b"SQLite format 3\0", "a database of SQLite", _EXPORT),
    (b"PAR1", "a Parquet file", _EXPORT),
    (b"ARROW1\0\0", "an Arrow file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", "Save it as CSV or plain text."),
    (b"{\\rtf", "a document in RTF", "Save it as plain text."),
    (b"%PDF-", "a PDF document", "Copy its queries into a .sql file."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it: 7z x {file}"),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it: unrar x {file}"),
    (b"\x04\x22\x4d\x18", "a file that lz4 has compressed", "Unpack it: lz4 -d {file}"),
    (b"\x89LZO", "a file that lzop has compressed", "Unpack it: lzop -d {file}"),
    (b"LZIP", "a file that lzip has compressed", "Unpack it: lzip -d {file}"),
    (b"\x1f\x9d", "a file that compress has compressed", "Unpack it: gzip -d {file}"),
    (b"\x5d\0\0", "a file that lzma has compressed", "Unpack it: xz -d --format=lzma {file}"),
    (b"\x7fELF", "a program", _NAME_SQL),
    (b"\x89PNG\r\n", "an image", _NAME_SQL),
    (b"\xff\xd8\xff", "an image", _NAME_SQL),
)
_PICKLE = re.compile(
    rb"\x80[\x02-\x05][(\]})cGJKMNUXq\x80\x88\x89\x8a\x8c\x95]"  # protocols 2 to 5
    rb"|\((?:lp|dp)[0-9]+\n|ccopy_reg\n"  # protocol 0
)
_PICKLE_HINT = (
    "Loading it runs code, so pilot does not: where you trust it, load it in Python and write its "
    'queries into a .jsonl file. The queries of CEB: print(json.dumps({"sql": '
    'pickle.load(file)["sql"]}))'
)
_UTF_16_32 = (
    (re.compile(rb"\xff\xfe\0\0|(?:[\t-~]\0\0\0){2}"), "UTF-32LE"),
    (re.compile(rb"\0\0\xfe\xff|(?:\0\0\0[\t-~]){2}"), "UTF-32BE"),
    (re.compile(rb"\xff\xfe|(?:[\t-~]\0){4}"), "UTF-16LE"),
    (re.compile(rb"\xfe\xff|(?:\0[\t-~]){4}"), "UTF-16BE"),
)
_TEMPLATE = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{[{%#]")
_MARKUP = re.compile(rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml)\b")


def compression(head: bytes) -> str | None:
    """Returns how a file that begins with `head` is compressed: `gzip`, `xz`, `bzip2`, `zip`,
    `zstd`, or None."""
    if _BZIP2.match(head):
        return "bzip2"
    return next((kind for start, kind in _COMPRESSED if head.startswith(start)), None)


def may_be_compressed(head: bytes) -> bool:
    """Returns whether more bytes after `head` can make it the beginning of a compressed file."""
    return b"BZh".startswith(head[:3]) or any(
        start.startswith(head[: len(start)]) for start, _ in _COMPRESSED
    )


def refuse_other_kinds(head: bytes, name: str) -> None:
    """Raises `WorkloadError` if `head`, the first bytes of the unpacked file `name`, begins a file
    that is no text in UTF-8."""
    found = _other_kind(head)
    if found is not None:
        what, hint = found
        raise WorkloadError(
            f"this is {what}, not SQL text", file=name, hint=hint.replace("{file}", name)
        )


def _other_kind(head: bytes) -> tuple[str, str] | None:
    """Returns what begins with `head`, and what to do about it; None for text."""
    kind = compression(head)
    if kind is not None:
        return f"a {kind} file inside a compressed file", "Unpack it once, and name the result."
    if head[257:262] == b"ustar":
        if head.startswith(b"toc.dat\0"):
            return "an archive of pg_dump (tar)", _REFUSED[0][2]
        return "a tar archive", "Unpack it, and name the folder: tar -xf {file}"
    for start, what, hint in _REFUSED:
        if head.startswith(start):
            return what, hint
    if head[8:12] == b"DUCK":
        return "a database of DuckDB", _EXPORT
    if _PICKLE.match(head):
        return "a pickle of Python", _PICKLE_HINT
    for pattern, encoding in _UTF_16_32:
        if pattern.match(head):
            hint = f"Convert it: iconv -f {encoding} -t UTF-8 {{file}} > workload.sql"
            return f"text in {encoding}", hint
    if _TEMPLATE.match(head):
        return "a template ({{ ... }})", "Render it first, and name the SQL that it makes."
    if _MARKUP.match(head):
        return "HTML or XML", "A download may have failed: fetch the file itself."
    return None
