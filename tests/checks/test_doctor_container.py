"""What the doctor says about a server in a container, and that following it leads there."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained_server import ContainedServer, contained_server
from own_installation import own_installation
from server_folder import server_folder
from steered import KINDS, pg_config_of

from pilotcli.checks.doctor import Check, examine_all
from pilotcli.common.errors import CapabilityError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.planner import build
from pilotcli.steering.probing import Capability

pytestmark = pytest.mark.slow

_numbers = itertools.count(1)
CONTAINER = "it runs in a container"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str) -> Iterator[ContainedServer]:
    with server_folder() as folder:
        installation = folder / "installation"
        programs = own_installation(kind, installation)
        with contained_server(programs, installation, folder) as server:
            yield server


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of pilot's that the server's user may read."""
    with server_folder() as folder:
        (folder / "home").mkdir(mode=0o755)
        yield folder / "home"


@pytest.fixture
def built(kind: str, home: Path) -> Path:
    try:
        return build(pg_config_of(kind), home / "planner")
    except CapabilityError as error:
        pytest.skip(f"the planner module cannot be built here: {error.message}")


@pytest.fixture
def role(server: ContainedServer) -> str:
    name = f"plain_{next(_numbers)}"
    server.sql(f"CREATE ROLE {name} LOGIN")
    return name


def look(
    server: ContainedServer, home: Path, user: str, host: str = "", *, pg_config: Path | None = None
) -> tuple[dict[str, Check], dict[str, Capability]]:
    settings = [f"database.dsn={server.dsn(user, host)}", f"home={home}"]
    settings.append(f"store.dsn={server.dsn('postgres')}")
    found = list(examine_all(None, settings, build=pg_config is not None, pg_config=pg_config))
    return (
        {item.what: item for item in found if isinstance(item, Check)},
        {item.what: item for item in found if isinstance(item, Capability)},
    )


@pytest.fixture
def clean(server: ContainedServer) -> Iterator[None]:
    yield
    inside = ["nsenter", "-t", str(server.process), "-m", "-p", "-r"]
    find = [*inside, "find", server.programs.parents[1], "-name", "pilot_planner.so", "-delete"]
    subprocess.run(find, check=True)


@pytest.mark.usefixtures("built", "clean")
@pytest.mark.parametrize("host", ["", "127.0.0.1"], ids=["socket", "port"])
@pytest.mark.parametrize("superuser", [True, False])
def test_what_to_copy(
    server: ContainedServer,
    home: Path,
    role: str,
    host: str,
    superuser: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = "postgres" if superuser else role
    found = look(server, home, user, host)[1]["pushed cardinalities"]
    assert CONTAINER in found.remedy
    server.docker(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for command in re.findall(r"`(docker [^`]+)`", found.remedy):
        subprocess.run(command, shell=True, check=True)
    assert look(server, home, user, host)[1]["pushed cardinalities"].state == "full"


def test_what_to_mount(server: ContainedServer, home: Path, built: Path) -> None:
    found = look(server, home, "postgres")[1]["pushed cardinalities"]
    mounted = re.search(r"or mount (\S+) there at the same path", found.remedy)
    assert mounted is not None, found
    assert Path(mounted[1]) == built.parent
    server.mount(Path(mounted[1]))
    assert look(server, home, "postgres")[1]["pushed cardinalities"].state == "full"


def test_it_is_built_for_a_container(server: ContainedServer, home: Path, kind: str) -> None:
    checks, _ = look(server, home, "postgres", pg_config=pg_config_of(kind))
    if checks["module"].state == "problem":
        pytest.skip(f"the planner module cannot be built here: {checks['module'].found}")
    (file,) = (home / "planner").glob("*.so")
    assert checks["module"].state == "warning"
    assert f"`docker cp {file} CONTAINER:" in checks["module"].remedy


def test_a_server_in_a_container_is_not_restarted(
    server: ContainedServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data folder may be that of another server of this machine."""
    target = open_target(PostgreSQLConfig(dsn=server.dsn("postgres"), home=home))
    assert isinstance(target, PostgresTarget)
    why = target.knobs.why_no_restart()
    target.close()
    assert why is not None
    assert CONTAINER in why.message
