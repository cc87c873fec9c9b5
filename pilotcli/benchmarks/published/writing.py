"""Writes a published benchmark as a folder, from the files that the user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pilotcli.benchmarks import folder
from pilotcli.benchmarks.published.files import Found, plain, tell_apart
from pilotcli.benchmarks.published.names import Published
from pilotcli.benchmarks.published.origins import Opened, Opener
from pilotcli.benchmarks.published.rows import write_rows, write_script
from pilotcli.benchmarks.request import Request
from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import listed, plural
from pilotcli.databases.commands.dumps import write_dump_as_script
from pilotcli.workload import open_workload

_SHOWN = 6
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
        except OSError as exc:
            raise UsageError(
                f"{exc.filename} cannot be read: {exc.strerror}", hint="Check its permissions."
            ) from exc
        queries = _queries(found, benchmark, opened)
        has_rows = _write_schema(found, benchmark, place, request)
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
        hint="Name what you have with --from: folders, archives, or addresses to download, which"
        " pilot asks about first. --from can be repeated. They are published here:\n    "
        + "\n    ".join(lines),
    )


def _origins(benchmark: Published) -> str:
    lines = [f"- {origin.holds}: <{origin.address}>" for origin in benchmark.origins]
    return "Published here:\n\n" + "\n".join(lines)


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
        target = place / "data" / "dump.sql"
        if found.dump_is_script:
            write_script(target, found.dump)
        else:
            write_dump_as_script(found.dump, target)
        (place / "schema.sql").write_text(f"{head}\n\\ir data/dump.sql\n\nANALYZE;\n", "utf-8")
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
