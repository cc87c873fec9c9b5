"""A run as files for other tools: one table, or all of them in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import StorageError, UsageError
from pilotcli.common.suggestions import did_you_mean
from pilotcli.reports.files import check_file, is_regular, whole_file
from pilotcli.reports.formats import FORMATS, check_format, without_formulas
from pilotcli.reports.tables import TABLES, Row, Table
from pilotcli.storage.journal import JournalReader

DEFAULT_TABLE = "results"
DEFAULT_FORMAT = "parquet"
STREAM_FORMAT = "jsonl"
"""The format of what is no regular file, if neither its name nor the user says which."""


@dataclass(frozen=True, slots=True)
class Export:
    """Which tables go into which files, and their format. `folder` is made when it is missing."""

    files: Sequence[tuple[Table, Path]]
    format: str
    folder: Path | None = None
    no_formulas: bool = False
    """Whether texts that a spreadsheet would calculate get a quote before them."""


def planned_export(output: str, table: str | None, format: str | None) -> Export:
    """What `-o OUTPUT --table TABLE --format FORMAT` asks for.

    `output` is a folder when it is there as one, or ends with a slash: then all tables go there,
    or the one that was named. Else it is the file of one table, and its ending is its format.
    Raises `UsageError` for what could not be written.
    """
    for name, chosen, known in (("table", table, TABLES), ("format", format, FORMATS)):
        if chosen is not None and chosen not in known:
            hint = did_you_mean(chosen, known, listed="There are")
            raise UsageError(f"--{name} {chosen}: there is no such {name}", hint=hint)
    path = Path(output)
    if output.endswith(os.sep) or path.is_dir():
        return _in_folder(path, table, format or DEFAULT_FORMAT)
    hint = "The ending of a file's name chooses; that of a folder is a /."
    if format is not None and not is_regular(path):
        check_format(format, f"--output {path}")
        check_file(path, "--output")
        return Export([(TABLES[table or DEFAULT_TABLE], path)], format)
    own = check_export(path, "--output", hint=hint)
    if format not in (None, own):
        raise UsageError(
            f"--output {output} together with --format {format}: the ending says {own}",
            hint="Leave --format out, or name another file.",
        )
    return Export([(TABLES[table or DEFAULT_TABLE], path)], own)


def check_export(
    path: Path, option: str, *, hint: str = "The ending of the file's name chooses."
) -> str:
    """The format of the table that is to be written to the file `path`, which `option` has named.

    Raises `UsageError` when it could not be written.
    """
    format = export_format(path)
    if format not in FORMATS:
        raise UsageError(
            f"{option} {path}: a table is written as {', '.join(f'.{name}' for name in FORMATS)}",
            hint=hint,
        )
    check_format(format, f"{option} {path}")
    check_file(path, option)
    return format


def export_format(path: Path) -> str:
    """The format that the name of the file `path` says, which may be an unknown one."""
    ending = path.suffix.removeprefix(".")
    return ending if ending in FORMATS or is_regular(path) else STREAM_FORMAT


def _in_folder(folder: Path, table: str | None, format: str) -> Export:
    check_format(format, f"--output {folder}/")
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"--output {folder}/ is a file, and no folder", hint="Leave out the / or name another."
        )
    chosen = TABLES.values() if table is None else [TABLES[table]]
    files = [(each_table, folder / f"{each_table.name}.{format}") for each_table in chosen]
    if folder.is_dir():
        for _, path in files:
            check_file(path, "--output")
    else:
        check_file(folder, "--output")
    return Export(files, format, folder)


def write_export(journal: JournalReader, run_id: int, export: Export) -> list[tuple[Path, int]]:
    """Write what was asked for of the run: each file and its rows, without the header.

    All files appear, each whole, or none does. Raises `StorageError`, also for an unknown run.
    """
    journal.run(run_id)
    if export.folder is not None:
        try:
            export.folder.mkdir(exist_ok=True)
        except OSError as exc:
            raise StorageError(
                f"the folder {export.folder} could not be made: {exc.strerror}",
                hint="Name another one.",
            ) from exc
    written = []
    with ExitStack() as stack:
        for table, path in export.files:
            temporary = stack.enter_context(whole_file(path))
            rows = table.rows(journal, run_id)
            counted = _Counted(map(without_formulas, rows) if export.no_formulas else rows)
            FORMATS[export.format](temporary, table, counted)
            written.append((path, counted.rows))
    return written


def export_results(path: Path, journal: JournalReader, run_id: int) -> None:
    """Write the results of a run to the file `path`, as `write_export` does."""
    format = export_format(path)
    write_export(journal, run_id, Export([(TABLES[DEFAULT_TABLE], path)], format))


class _Counted:
    """Hands rows on, and counts them."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.rows = 0

    def __iter__(self) -> Iterator[Row]:
        for self.rows, row in enumerate(self._rows, 1):  # noqa: B020
            yield row
