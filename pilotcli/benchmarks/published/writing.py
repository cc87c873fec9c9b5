"""Writes a published benchmark as a folder, from the files that the user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pilotcli.benchmarks import folder
from pilotcli.benchmarks.published.dumps import write_dump
from pilotcli.benchmarks.published.files import Found, plain, tell_apart
from pilotcli.benchmarks.published.names import Published
from pilotcli.benchmarks.published.origins import Opened, Opener
from pilotcli.benchmarks.published.rows import blocks, write_rows
from pilotcli.benchmarks.request import Request
from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import listed, plural
from pilotcli.workload import open_workload

_SHOWN = 6
_ARCHIVES = (".tar", ".tgz", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_UNSAFE = re.compile(r"[^\w.+-]+")
_PICKLES = """\
Loading a pickle runs code, so pilot does not. Where you trust them, make .sql files of them: \
python -c "import pathlib, pickle; [p.with_suffix('.sql').write_text(pickle.loads(p.read_bytes())\
['sql']) for p in pathlib.Path('.').rglob('*.pkl')]" (needs networkx), and name the folder."""


def write_published(benchmark: Published, place: Path, request: Request) -> tuple[int, int]:
    """Write the benchmark into the folder `place`; returns the numbers of queries.

    Raises `UsageError` where no files are named, or where they are not the benchmark's.
    """
    if not request.sources:
        raise _nothing_named(benchmark)
    opener = Opener(benchmark.origins, request.agreed, request.report)
    with opener.open(request.sources, place.parent) as opened:
        try:
            found = tell_apart(opened, benchmark, _own_schema(benchmark))
            queries = _queries(found, benchmark, opened)
            _refuse_unused(found, benchmark, opened)
            has_rows = _write_schema(found, benchmark, place, request)
        except OSError as exc:
            if exc.filename is None or place in Path(exc.filename).parents:
                raise
            raise UsageError(
                f"{exc.filename} cannot be read: {exc.strerror}", hint="Check its permissions."
            ) from exc
        except UsageError as exc:
            raise _with_names(exc, opened) from exc
    if benchmark.published_queries not in (None, len(queries)):
        request.report(
            f"{benchmark.name} has {benchmark.published_queries} queries, and {len(queries)} were"
            " found"
        )
    counts = folder.write_queries(place / "queries", queries, request.seed)
    about = folder.About(
        benchmark.name,
        benchmark.title,
        benchmark.about,
        f"{benchmark.licence}\n\n{_origins(benchmark)}",
        request.command,
        has_rows=has_rows,
    )
    folder.write_about(place, about, counts, request.seed)
    if not has_rows:
        request.report("no rows were found: pilot.yaml needs a server that has them, in DSN")
    return counts


def _own_schema(benchmark: Published) -> str:
    if not benchmark.schema:
        return ""
    return (resources.files(__package__ or "") / benchmark.schema).read_text("utf-8")


def _nothing_named(benchmark: Published) -> UsageError:
    lines = [f"{origin.address}\n      {origin.holds}" for origin in benchmark.origins]
    return UsageError(
        f"{benchmark.name} is made from files that others publish",
        hint="Name with --from, once or more, what you have: folders, archives, or\n  addresses to"
        " download, which pilot asks about. They are published here:\n    " + "\n    ".join(lines),
    )


def _origins(benchmark: Published) -> str:
    lines = [f"- {origin.holds}: <{origin.address}>" for origin in benchmark.origins]
    return "Published here:\n\n" + "\n".join(lines)


def _refuse_unused(found: Found, benchmark: Published, opened: Sequence[Opened]) -> None:
    """Raise `UsageError` where nothing of something that was named can be used."""
    for each in opened:
        if not any(path in found.used for path, _ in each.files):
            archives = [name for _, name in each.files if name.lower().endswith(_ARCHIVES)]
            raise UsageError(
                f"there is nothing of {benchmark.name} in {each.name}",
                hint=f"Unpack it, and name what is in it: {listed(archives, _SHOWN)}."
                if archives
                else "It may be a page that a server has sent in place of the file: look at it.",
            )


def _with_names(error: UsageError, opened: Sequence[Opened]) -> UsageError:
    """Returns the error with the names of archives in the place of temporary folders."""
    message, hint = error.message, error.hint
    for each in opened:
        if each.unpacked is not None:
            folder = f"{each.unpacked}/"
            message = message.replace(folder, f"{each.name}/")
            hint = hint and hint.replace(folder, f"{each.name}/")
    return UsageError(message, hint=hint)


def _queries(
    found: Found, benchmark: Published, opened: Sequence[Opened]
) -> list[folder.LabelledQuery]:
    if not found.queries:
        looked = listed([each.name for each in opened], _SHOWN)
        hint = f"Its queries are in files such as {benchmark.example}. Name the folder with --from."
        if found.pickles:
            hint = f"There are {plural(len(found.pickles), 'pickle')}. {_PICKLES}"
        elif found.templates:
            hint = (
                f"There are {plural(len(found.templates), 'template')}: make queries of them with"
                " the benchmark's own generator, and name the folder that it writes."
            )
        raise UsageError(f"no queries of {benchmark.name} are in {looked}", hint=hint)
    labels: set[str] = set()
    queries = []
    with open_workload(found.queries) as workload:
        for query in workload:
            label = stem = _UNSAFE.sub("_", query.label).strip("._") or "q"
            number = 1
            while label.lower() in labels:
                number += 1
                label = f"{stem}_{number}"
            labels.add(label.lower())
            queries.append(folder.LabelledQuery(label, query.sql, query.facts.expect))
    return queries


def _write_schema(found: Found, benchmark: Published, place: Path, request: Request) -> bool:
    """Write `schema.sql` and `data/`; returns False, and writes nothing, without rows."""
    head = f"-- {benchmark.title}. Runs in one transaction: psql -1 -f schema.sql\n"
    if found.dump is not None:
        request.report(f"reading the dump {found.dump.name}")
        (place / "data").mkdir()
        lines = blocks(found.dump) if found.dump_is_script else None
        if write_dump(place / "data" / "dump.sql", found.dump, lines):
            found.schema = found.keys = []
        schema, keys = ([f"{sql};" for sql in part] for part in (found.schema, found.keys))
        parts = [head, *schema, "\\ir data/dump.sql", "RESET search_path;", *keys, "ANALYZE;"]
        (place / "schema.sql").write_text("\n".join(parts) + "\n", "utf-8")
        return True
    missing = [plain(table.name) for table in found.tables if table.name not in found.rows]
    if not found.rows:
        return False
    if missing:
        raise UsageError(
            f"there are no rows for {plural(len(missing), 'table')}: {listed(missing, _SHOWN)}",
            hint="Each table's rows are in a file that is called like it: title.csv, title.tbl, "
            "title.dat.gz. Name the folder that has them with another --from.",
        )
    request.report(f"writing the rows of {plural(len(found.rows), 'table')}")
    (place / "data").mkdir()
    parts = [head, *(f"{sql};\n" for sql in found.schema)]
    for table in found.tables:
        name = f"{plain(table.name)}.sql"
        write_rows(place / "data" / name, table, found.rows[table.name], benchmark.escape)
        parts.append(f"\\ir data/{name}")
    parts += ["", *(f"{sql};" for sql in found.keys)]
    parts += [f"ANALYZE {table.name};" for table in found.tables]
    (place / "schema.sql").write_text("\n".join(parts) + "\n", "utf-8")
    return True
