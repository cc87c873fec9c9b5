"""What holds for the whole code: the public API, where rich is, what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pilotcli

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "pilotcli").rglob("*.py"))


def test_the_public_api() -> None:
    assert pilotcli.__all__ == [
        "BasePushHandler",
        "CapabilityError",
        "CardPushHandler",
        "CheckpointError",
        "CheckpointedModel",
        "CommentPushHandler",
        "ConfigError",
        "DBControllerFactory",
        "DataManager",
        "DatabaseError",
        "DriverError",
        "Event",
        "EventKind",
        "HintPushHandler",
        "Index",
        "IndexPushHandler",
        "Interrupted",
        "JoinOrderPushHandler",
        "KnobPushHandler",
        "ModelUpdate",
        "ModelVersion",
        "NamedCards",
        "NotAnalysable",
        "PeriodicModelUpdateEvent",
        "PilotConfig",
        "PilotDataInteractor",
        "PilotError",
        "PilotModel",
        "PilotScheduler",
        "PilotTransData",
        "PluginError",
        "PostgreSQLConfig",
        "PostgreSQLController",
        "PretrainingModelEvent",
        "PretrainingProgress",
        "Query",
        "QueryCancelled",
        "QueryError",
        "QueryFinishEvent",
        "QueryPushHandler",
        "QueryResult",
        "QueryTimeout",
        "ScanJoinMethodEnum",
        "ScanJoinMethodPushHandler",
        "SchedulerFactory",
        "SteeringError",
        "SteeringReport",
        "StorageError",
        "StoreError",
        "SubPlan",
        "UsageError",
        "WorkloadBeforeEvent",
        "WorkloadError",
        "WorkloadPushHandler",
        "WorkloadQueries",
        "__version__",
    ]
    for name in pilotcli.__all__:
        assert getattr(pilotcli, name) is not None
    assert dir(pilotcli) == sorted(pilotcli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pilotcli.nothing  # noqa: B018


def test_the_version_is_the_distribution_s() -> None:
    from importlib.metadata import version

    assert version("pilot-db") == pilotcli.__version__


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_rich_is_imported_in_views_only() -> None:
    outside = [path for path in SOURCES if "rich" in imports(path) and path.parent.name != "views"]
    assert outside == []


def test_nothing_prints_but_views() -> None:
    printing = []
    for path in SOURCES:
        if path.parent.name in ("views", "drivers") or path.name == "events.py":
            continue
        if "compat" in path.parts:  # methods of PilotScope's whose work it is to print
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                printing.append(f"{path}:{node.lineno}")
    assert printing == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import pilotcli", {"rich", "yaml", "psycopg2", "pandas", "numpy", "typer", "sqlite3"}),
        ("import pilotcli.cli.main", {"yaml", "psycopg2", "pandas", "numpy", "sqlite3", "pyarrow"}),
        (
            "from pilotcli import PilotScheduler, DataManager, CheckpointedModel",
            {"rich", "pandas", "numpy", "pyarrow", "sklearn"},
        ),
        (
            "import pilotcli.drivers.latency, pilotcli.drivers.observe",
            {"rich", "pandas", "numpy", "sklearn"},
        ),
    ],
)
def test_importing_stays_light(statement: str, absent: set[str]) -> None:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert absent.isdisjoint(done.stdout.split())
