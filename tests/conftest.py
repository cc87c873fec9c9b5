"""Fixtures that tests of several floors share: one embedded server for the whole session."""

from __future__ import annotations

import gc
import itertools
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Its plugin imports it when the tests have ended at the latest, and by then a run has frozen the
# objects that it would look for (gc.freeze); it warns then, and warnings are errors.
import hypothesis
import pilot_starter
import pytest
from compiled_once import compile_or_copy
from fault_table import ROUNDS, TESTS, FaultTable, is_fault
from fuzzing import TIMES
from given_server import GIVEN, take_given_server
from project_folder import Project
from server_crashes import crashes_in
from server_folder import server_folder

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target
from pilotcli.steering.planner import building

hypothesis.settings.register_profile(
    "any machine, the same cases",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
    derandomize=not TIMES,
)
hypothesis.settings.load_profile("any machine, the same cases")

_numbers = itertools.count(1)
_faults = FaultTable()


SLOW_FOLDERS = ("faults", "fuzz", "load")


def pytest_configure(config: pytest.Config) -> None:
    """Run all tests on the server that the environment gives, if it gives one."""
    os.environ.pop("PYTEST_ADDOPTS", None)  # a pytest that a test starts writes no report over ours
    if GIVEN:
        folder = tempfile.TemporaryDirectory(prefix="pilot-given-", dir="/tmp")
        config.add_cleanup(folder.cleanup)
        Path(folder.name).chmod(0o755)
        take_given_server(Path(folder.name))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what has no mark of its own: campaigns, and tests of the second PostgreSQL.

    Files with slow tests come first, so that no worker is left with a long one at the end.
    """
    for item in items:
        if item.path.parent.name in SLOW_FOLDERS or re.search(r"[\[-]installed\b", item.name):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among thousands of tests that all stay.

    It would, again and again, while they are made and while they run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try each fault as often as `python -m tests.faults` says."""
    if ROUNDS > 1 and is_fault(metafunc.definition.path):
        metafunc.fixturenames.append("fault_round")
        metafunc.parametrize("fault_round", range(ROUNDS))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what came of tests of faults."""
    path = TESTS.parent / report.nodeid.partition("::")[0]
    if is_fault(path):
        _faults.add(path, report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was tried and lost."""
    if lines := _faults.lines():
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(autouse=True, scope="session")
def no_libpq_environment() -> Iterator[None]:
    """No variable of libpq's leads a test to somebody's server."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PG")]:
            patch.delenv(name)
        yield


@pytest.fixture(autouse=True, scope="session")
def signals_of_a_terminal() -> None:
    """Commands of tests do not inherit ignored signals, as from nohup or a shell's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def planner_module_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each home gets a copy of the first file that was compiled for its server."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all workers
    folder = folder / "compiled"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "_compile", compile_or_copy(folder, building._compile))
        patch.setattr(pilot_starter, "compiled", folder)
        yield


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The home folder of an embedded server that runs as long as the tests do."""
    with server_folder() as folder:
        home = folder / ".pilot"
        target = open_target(PostgreSQLConfig(home=home))
        try:
            yield home
        finally:
            target.close()
        assert crashes_in(home) == []


@pytest.fixture
def pilot_config(server_home: Path) -> PostgreSQLConfig:
    """A config of the shared server, with a store of its own."""
    config = PostgreSQLConfig(home=server_home)
    config.user_data_db_name = f"store_{next(_numbers)}"
    return config


@pytest.fixture
def target(pilot_config: PostgreSQLConfig) -> Iterator[Target]:
    """The shared server as a target."""
    target = open_target(pilot_config)
    yield target
    target.close()


@pytest.fixture
def project(
    tmp_path: Path, server_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A new folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    target = open_target(PostgreSQLConfig(home=server_home))
    session = target.session()
    parameters = session.connection.get_dsn_parameters()  # type: ignore[attr-defined]
    session.close()
    dsn = " ".join(f"{key}={parameters[key]}" for key in ("host", "port", "user", "dbname"))
    yield Project(tmp_path, dsn, f"project_{next(_numbers)}")
    target.close()
