"""What `pilot doctor` looks at: the machine, the config, the database, the store."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pilotcli
from pilotcli.checks.sizes import home_sizes, store_bytes, unsaved_rows
from pilotcli.common.errors import PilotError, UsageError
from pilotcli.common.quantities import plural, size
from pilotcli.config import (
    PostgreSQLConfig,
    RunConfig,
    choose_embedded,
    load_config,
)
from pilotcli.config.home import make_home
from pilotcli.config.model import CollectSection
from pilotcli.databases.opening import open_target
from pilotcli.databases.unused_settings import refuse_unused
from pilotcli.events.base import PretrainingModelEvent
from pilotcli.plugins import check_plugins
from pilotcli.replay.collected_row import example_row
from pilotcli.steering.capabilities import Abilities, abilities_of
from pilotcli.steering.planner import Missing, copy_out, how_to_place, version_of
from pilotcli.steering.planner import build as compile_module
from pilotcli.steering.probing import Capability, probe
from pilotcli.storage.journal import Journal
from pilotcli.storage.store.data_manager import DataManager
from pilotcli.workload import open_workload

LIBRARIES = ("numpy", "pandas", "sqlglot")
LITTLE_SPACE_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class _Build:
    """How the planner module is built, as `examine_all` describes it."""

    pg_config: Path | None = None
    out: Path | None = None

    @property
    def apart(self) -> bool:
        """Whether the database's server is not asked."""
        return self.pg_config is not None and self.out is not None


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found, and what to do about it. `exit_code` is 0 unless it is a problem."""

    what: str
    state: Literal["ok", "warning", "problem"]
    found: str
    remedy: str = ""
    exit_code: int = 0


def examine_all(
    config_path: Path | None,
    overrides: Sequence[str],
    *,
    build: bool = False,
    pg_config: Path | None = None,
    out: Path | None = None,
    loading: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Check | Capability]:
    """Every check in turn, then what the database can do for a driver; what rests on a check that
    failed is left out.

    The embedded server is started for it, as a run would, and stopped again. `build` builds the
    planner module, with `pg_config` (None: one for the database's server is looked for), and writes
    it to `out` too, for another machine. With both, it is built for the version of `pg_config`, and
    the database is not asked. Drivers are imported inside of `loading()`, which may take care of
    what they print.
    """
    wanted = _Build(pg_config, out) if build or pg_config or out else None
    machine = f"{platform.system()} {platform.machine()}, {plural(os.cpu_count() or 1, 'core')}"
    versions = f"pilot {pilotcli.__version__}, Python {platform.python_version()}"
    yield Check("machine", "ok", f"{versions}, {machine}")
    try:
        config = load_config(config_path, overrides)
    except PilotError as exc:
        yield _problem("config", exc)
        return
    where = str(config.path) if config.path is not None else "none: built-in defaults"
    what = f"events: {len(config.events)}, models: {len(config.models)}"
    yield Check("config", "ok", f"{where}; {what}")
    yield _check("libraries", _check_libraries)
    tables: list[str] = []  # those of events, as far as these say so
    if config.events or config.models or config.handlers:
        yield _check("classes", lambda: _check_classes(config, loading, tables))
    if config.workload:
        yield _check("workload", lambda: _check_workload(config))
    yield _home(config)
    yield from _sizes(config.home)
    if wanted is not None and wanted.apart:
        yield _build_apart(wanted, config)
        wanted = None
    yield from _database(config, wanted, tables)


def _check(what: str, find: Callable[[], str]) -> Check:
    """The check that `find` makes; it returns what it found, or raises."""
    try:
        return Check(what, "ok", find())
    except PilotError as exc:
        return _problem(what, exc)


def _check_classes(
    config: RunConfig,
    loading: Callable[[], AbstractContextManager[None]],
    tables: list[str],
) -> str:
    embedded = choose_embedded(config.database, os.environ)
    with loading():
        plugins = check_plugins(config)
        scheduler = plugins.scheduler()
        config_class = PostgreSQLConfig if scheduler is None else scheduler.config_class
        pilot_config = config_class.from_run_config(config, embedded=embedded)
        models = plugins.build_models()
        events = [built.event for built in plugins.build_events(pilot_config, models)]
        tables += [
            one.data_saving_table for one in events if isinstance(one, PretrainingModelEvent)
        ]
        plugins.build_handlers(pilot_config, models)
    return "every class is there and takes its arguments"


def _check_libraries() -> str:
    """Import what a run imports late."""
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as exc:  # a release that does not fit to another one raises anything
            raise UsageError(
                f"the library {name} cannot be imported: {type(exc).__name__}: {exc}",
                hint="Install releases that fit to each other: pip install --upgrade "
                f"{name}, or pilot in a virtual environment of its own.",
            ) from exc
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)


def _check_workload(config: RunConfig) -> str:
    with open_workload(config.workload, limit=1) as workload:
        list(workload)
        return workload.description


def _home(config: RunConfig) -> Check:
    try:
        Journal.open(make_home(config.home)).close()
        free = shutil.disk_usage(config.home).free
    except PilotError as exc:
        return _problem("folder", exc)
    text = f"{config.home}, {free / 1e9:.1f} GB free"
    if free < LITTLE_SPACE_BYTES:
        return Check("folder", "warning", text, "Make room, or set `home:` to another disk.")
    return Check("folder", "ok", text)


def _sizes(home: Path) -> Iterator[Check]:
    with contextlib.suppress(PilotError):  # the check of the folder has said so
        for what, found, remedy in home_sizes(home):
            yield Check(what, "ok", found, remedy)
        if (waiting := unsaved_rows(home)) is not None:
            remedy = "The next run with the config of these runs saves them."
            yield Check("rows", "warning", waiting, remedy)


def _check_store(config: RunConfig, pilot_config: PostgreSQLConfig, tables: list[str]) -> str:
    collect = config.collect if config.collect is not None else CollectSection()
    with DataManager(pilot_config) as manager:
        manager.try_writing(example_row(collect), collect.table, tables)
    name = "store.dsn" if config.store.dsn else config.store.database
    return f"{name} can be written, {size(store_bytes(pilot_config))}"


def _database(
    config: RunConfig, build: _Build | None, tables: list[str]
) -> Iterator[Check | Capability]:
    embedded = choose_embedded(config.database, os.environ)
    if embedded and os.geteuid() == 0:
        yield Check("user", "ok", "root; the embedded server runs as an unprivileged user")
    pilot_config = PostgreSQLConfig.from_run_config(config, embedded=embedded)
    started = time.perf_counter()
    try:
        refuse_unused(config, os.environ, embedded=embedded)
        target = open_target(pilot_config)
    except PilotError as exc:
        yield _problem("database", exc)
        return
    try:
        elapsed_s = time.perf_counter() - started
        kind = "embedded" if embedded else "by DSN"
        text = f"{target.description} ({kind}), ready in {elapsed_s:.2f} s"
        yield Check("database", "ok", text)
        yield _check("store", lambda: _check_store(config, pilot_config, tables))
        pg_config = build.pg_config if build is not None else None
        with abilities_of(target, may_build=build is not None, pg_config=pg_config) as able:
            if build is not None:
                yield _build(able, build)
            yield from probe(able, target)
    finally:
        target.close()


def _build_apart(build: _Build, config: RunConfig) -> Check:
    """Build the planner module for a server that pilot does not reach from here."""
    assert build.pg_config is not None and build.out is not None
    try:
        built = compile_module(build.pg_config, config.home / "planner", again=True)
        copy_out(built, build.out)
    except PilotError as exc:
        return _problem("module", exc)
    version = str(version_of(build.pg_config))
    found = f"{build.out}, for PostgreSQL {version}, built with {build.pg_config}"
    return Check("module", "ok", found, how_to_place(build.out, version))


def _build(able: Abilities, build: _Build) -> Check:
    """Build the planner module for the database's server, and say what came of it."""
    try:
        built = able.build_planner()
        if build.out is not None:
            copy_out(built.file, build.out)
    except PilotError as exc:
        if able.planner is None or build.out is not None:
            return _problem("module", exc)
        # The server has the module already: nothing is missing.
        return Check("module", "ok", f"the server has the module; {exc.message}")
    found = able.planner_or_why
    file = build.out or built.file
    how = "was built before" if built.pg_config is None else f"built with {built.pg_config}"
    if built.headers != built.server:
        how += f" (headers of {built.headers}; the server is {built.server})"
    if isinstance(found, Missing):
        text = f"{file}, not loaded: {found.reason}\n{how}"
        return Check("module", "warning", text, found.remedy)
    return Check("module", "ok", f"{file}, {how}")


def _problem(what: str, exc: PilotError) -> Check:
    return Check(what, "problem", exc.message, exc.hint or "", exc.exit_code)
