"""Reads statements from sources: SQL scripts with their includes, or a query on each line."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import CopyData
from pilotcli.workload.lines import line_format, read_lines
from pilotcli.workload.psql.script import Found, Script, ScriptState, look_up
from pilotcli.workload.psql.splitter import CHUNK_BYTES, Splitter, Statement
from pilotcli.workload.psql.window import Window
from pilotcli.workload.sources import Source


def iter_statements(
    stream: BinaryIO,
    *,
    name: str = "<stream>",
    variables: Mapping[str, str] | None = None,
    standard_conforming_strings: bool = True,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[Statement]:
    """Split one psql script, read from `stream` in pieces of `chunk_bytes`.

    `variables` are psql variables that are set beforehand; `standard_conforming_strings` is the
    server's setting at the beginning. Raises `WorkloadError`, which names the script `name`.
    """
    state = ScriptState.start(variables, standard=standard_conforming_strings)

    def refuse(path: Path, script: Script, line: int) -> Iterator[Found]:
        raise WorkloadError(
            f"{path} cannot be included here", file=name, line=line, hint="Read it as a file."
        )

    window = _window(stream.read, name, chunk_bytes)
    splitter = Splitter(window, state.strings, functools.partial(look_up, state, name))
    place = functools.partial(CopyData, Path(name))
    for _, statements, _ in Script(splitter, state, refuse, lambda copy: place(*copy)):
        yield from statements


def is_one_statement(sql: str) -> bool:
    """Whether `sql` holds a single statement, with or without its semicolon."""
    if ";" not in sql:
        return True
    try:
        return len(list(itertools.islice(iter_statements(io.BytesIO(sql.encode())), 2))) < 2
    except (WorkloadError, UnicodeError):
        return False


class ScriptReader:
    """Reads scripts one after the other, as one psql session would."""

    def __init__(
        self, state: ScriptState, keep: Callable[[Path], Source], chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._state = state
        self._source_of = keep
        self._chunk_bytes = chunk_bytes

    def read(self, source: Source) -> Iterator[Found]:
        """The statements of `source`, as a script or in a format with a query on each line."""
        with source.open() as read:
            window = _window(read, source.name, self._chunk_bytes)
            while not window.buf[window.pos :].strip():
                window.skip_to(window.buf.rfind(b"\n", window.pos) + 1 or window.pos)
                if not window.more():
                    break
            format = line_format(window)
            if format is not None:
                yield from read_lines(window, format)
            else:
                yield from self._script(window, source, 0)

    def _script(self, window: Window, source: Source, depth: int) -> Iterator[Found]:
        state = self._state
        state.strings.new_file()
        variables = functools.partial(look_up, state, source.name)
        splitter = Splitter(window, state.strings, variables, source.tee())
        yield from Script(
            splitter, state, self._include, source.copy_data, folder=source.folder, depth=depth
        )
        state.strings.new_file()

    def _include(self, path: Path, script: Script, line: int) -> Iterator[Found]:
        try:
            source = self._source_of(path)
        except WorkloadError as problem:
            raise WorkloadError(
                problem.message, file=script.file, line=line, hint=problem.hint
            ) from None
        with source.open() as read:
            window = _window(read, source.name, self._chunk_bytes)
            yield from self._script(window, source, script.depth + 1)


def _window(read: Callable[[int], bytes], name: str, chunk_bytes: int) -> Window:
    window = Window(read, name, chunk_bytes)
    window.drop_mark(b"\xef\xbb\xbf")
    return window
