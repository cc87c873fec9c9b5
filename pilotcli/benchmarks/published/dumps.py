"""Tells files of pg_dump, and makes scripts of them that run on any server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pilotcli.databases.commands.dumps import write_dump_as_script

HEAD_BYTES = 512
_ARCHIVES = (b"PGDMP", b"toc.dat\0")
_SCRIPT = re.compile(rb"\A(?:--[^\n]*\n|\s)*--\s*PostgreSQL database dump\b")
_COPY = re.compile(rb"COPY .* FROM stdin;")
_LEFT_OUT = re.compile(
    rb"(?:ALTER .* OWNER TO |GRANT |REVOKE |ALTER DEFAULT PRIVILEGES "
    rb"|(?:DROP|CREATE|ALTER) DATABASE |SET transaction_timeout = ).*;|\\c(?:onnect)? "
)


def is_dump(head: bytes) -> bool:
    """Returns whether a file that begins with `head` is an archive of pg_dump."""
    return head.startswith(_ARCHIVES)


def is_script(head: bytes) -> bool:
    """Returns whether a file that begins with `head` is a script of pg_dump."""
    return _SCRIPT.match(head) is not None and b"$$PATH$$" not in head


def write_dump(target: Path, dump: Path, blocks: Iterator[bytes] | None) -> bool:
    """Write a dump to `target` as a script; returns whether it creates tables.

    `blocks` are the lines of a script, None for an archive. What needs the roles or the database of
    the dump's server is left out, and settings that older servers do not have.
    """
    if blocks is None:
        script = target.with_name("archive.sql")
        write_dump_as_script(dump, script)
        with script.open("rb") as lines:
            creates = _filter(target, lines)
        script.unlink()
        return creates
    return _filter(target, (line for block in blocks for line in block.splitlines(keepends=True)))


def _filter(target: Path, lines: Iterator[bytes]) -> bool:
    in_rows = creates = False
    with target.open("wb") as out:
        for line in lines:
            if in_rows:
                in_rows = line.rstrip(b"\r\n") != b"\\."
            elif _LEFT_OUT.match(line):
                continue
            else:
                in_rows = _COPY.match(line) is not None
                creates = creates or line.startswith(b"CREATE TABLE ")
            out.write(line)
    return creates
