"""Prints what each role can have of a server, as JSON: `roles.py FOLDER_OF_PROGRAMS` (or `wheel`).

It starts a server of its own in a temporary folder and asks what `pilot doctor` asks.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import abilities_of
from pilotcli.steering.probing import probe

TABLES = """
CREATE TABLE shops (id int PRIMARY KEY, city text);
CREATE TABLE orders (id int PRIMARY KEY, shop int REFERENCES shops);
CREATE ROLE app LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO app
"""

EXTENSIONS = ("pg_hint_plan", "pg_plan_advice")
LIBRARIES = "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'"

Found = list[dict[str, str]]


def roles(programs: Path | None) -> dict[str, Found]:
    """Role to capabilities, on a new server."""
    with tempfile.TemporaryDirectory(prefix="pilot-roles-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        config = PostgreSQLConfig(home=Path(folder) / ".pilot")
        config.postgres_bin = programs
        target = open_target(config)
        assert isinstance(target, PostgresTarget)
        with contextlib.closing(target):
            found = _roles(target, Path(folder))
        reset_servers(config.home)
        return found


def _roles(target: PostgresTarget, folder: Path) -> dict[str, Found]:
    config = target.config
    assert isinstance(config, PostgreSQLConfig)
    with (
        contextlib.closing(target.session()) as session,
        EmbeddedServer.acquire(config.home, postgres_bin=config.postgres_bin) as server,
    ):
        session.execute(TABLES)
        with (server.data_dir / "pg_hba.conf").open("a") as file:
            file.write("local all all trust\n")
        session.execute("SELECT pg_reload_conf()")
        found = {"superuser": _capabilities(target)}
        known = {**server.conninfo("pilot"), "user": "app"}
        outside = PostgreSQLConfig(
            dsn=" ".join(f"{key}={value}" for key, value in known.items()), home=folder / "outside"
        )
        found["ordinary"] = _of(outside)
        (module,) = (config.home / "planner").glob("*.so")
        ((folder_of_libraries,),) = session.execute(LIBRARIES).rows
        there = (Path(folder_of_libraries, f"{name}.so") for name in EXTENSIONS)
        libraries = [str(module), *(file.stem for file in there if file.exists())]
        names = ", ".join(f"'{name}'" for name in libraries)
        session.execute(f"ALTER ROLE app SET session_preload_libraries = {names}")
        found["preloaded"] = _of(outside)
    return found


def _of(config: PostgreSQLConfig) -> Found:
    with contextlib.closing(open_target(config)) as target:
        return _capabilities(target)


def _capabilities(target: Target) -> Found:
    with abilities_of(target) as able:
        return [asdict(capability) for capability in probe(able, target)]


if __name__ == "__main__":
    json.dump(roles(None if sys.argv[1] == "wheel" else Path(sys.argv[1])), sys.stdout)
