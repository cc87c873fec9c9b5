"""What a server can do is found out by what it does, on servers and for roles of every kind."""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotcli.checks.doctor import Check, examine_all
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.capabilities import abilities_of
from pilotcli.steering.probing import Capability, probe


@pytest.fixture
def outside(shop_target: PostgresTarget, tmp_path: Path) -> Iterator[PostgreSQLConfig]:
    """The shop's server as one that is not pilot's own, for an ordinary role."""
    config = shop_target.config
    assert isinstance(config, PostgreSQLConfig)
    with EmbeddedServer.acquire(config.home, postgres_bin=config.postgres_bin) as server:
        session = shop_target.session()
        with (server.data_dir / "pg_hba.conf").open("a") as file:
            file.write("local all all trust\n")
        session.execute("SELECT pg_reload_conf()")
        session.execute("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
        known = {**server.conninfo("pilot"), "user": "plain"}
        dsn = " ".join(f"{key}={value}" for key, value in known.items())
        yield PostgreSQLConfig(dsn=dsn, home=tmp_path / ".pilot")
        session.execute("DROP ROLE plain")
        session.close()


def told(config: PostgreSQLConfig, *, may_build: bool = False) -> dict[str, Capability]:
    target = open_target(config)
    with contextlib.closing(target), abilities_of(target, may_build=may_build) as able:
        return {one.what: one for one in probe(able, target)}


def test_the_embedded_server(shop_config: PostgreSQLConfig) -> None:
    found = told(shop_config)
    assert found["plan and time"].how.endswith("planner module")
    for what in ("hints", "sub-plan cardinalities", "pushed cardinalities", "join order"):
        assert found[what].state == "full", found[what]
    for what in ("knobs", "restart", "indexes", "buffer cache"):
        assert found[what].state == "full", found[what]
    hints = found["hint comments"]
    if hints.state == "missing":
        is_own = shop_config.postgres_bin is None
        assert ("comes with pilot takes no extensions" in hints.remedy) == is_own
        assert f"Install {'a PostgreSQL that has ' if is_own else ''}pg_hint_plan" in hints.remedy


def test_an_ordinary_role(outside: PostgreSQLConfig) -> None:
    found = told(outside)
    assert found["hints"].state == "full"
    assert found["pushed cardinalities"].state == "missing"
    assert "'plain' is not a superuser" in found["pushed cardinalities"].how
    assert "plugins" in found["pushed cardinalities"].remedy
    assert found["sub-plan cardinalities"].state == "coarse"
    assert found["plan and time"].state == "coarse"
    assert found["knobs"].state == "missing"
    assert found["buffer cache"].state == "missing"
    assert found["restart"].state in ("missing", "full")
    assert found["indexes"].state == "coarse"


def test_without_a_compiler(
    outside: PostgreSQLConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.dsn = str(outside.dsn).replace("user=plain", "user=postgres")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    found = told(outside, may_build=True)
    pushed = found["pushed cardinalities"]
    if found["hint comments"].state == "full":
        assert (pushed.state, pushed.how) == ("coarse", "joins only: pg_hint_plan")
        assert "compiler" in pushed.remedy
    else:
        assert pushed.state == "missing"
        assert "compiler" in pushed.how
    assert found["plan and time"].how.endswith("auto_explain")


def test_a_superuser_with_the_module_built(outside: PostgreSQLConfig, shop_home: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    outside.dsn = str(outside.dsn).replace("user=plain", "user=postgres")
    outside.home = shop_home
    found = told(outside, may_build=True)
    assert found["pushed cardinalities"].state == "full", found["pushed cardinalities"]


def build_check(config: PostgreSQLConfig) -> Check:
    found = examine_all(None, [f"database.dsn={config.dsn}", f"home={config.home}"], build=True)
    (check,) = [one for one in found if isinstance(one, Check) and one.what == "module"]
    return check


def test_what_is_built_for_a_role_that_may_not_load_it(
    outside: PostgreSQLConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    monkeypatch.chdir(tmp_path)
    check = build_check(outside)
    (built,) = (outside.home / "planner").glob("*.so")
    assert (check.state, check.exit_code) == ("warning", 0)
    assert check.found.startswith(f"{built}, not loaded: the role 'plain' is not a superuser")
    assert f"run as root `install -D -m 755 {built} " in check.remedy


def test_what_cannot_be_built_is_a_problem(
    outside: PostgreSQLConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    check = build_check(outside)
    assert check.state == "problem"
    assert check.exit_code != 0
    assert "compiler" in check.found + check.remedy


def test_what_if_indexes(shop_config: PostgreSQLConfig) -> None:
    with contextlib.closing(open_target(shop_config)) as target:
        session = target.session()
        there = "SELECT count(*) = 1 FROM pg_available_extensions WHERE name = 'hypopg'"
        ((installed,),) = session.execute(there).rows
        session.close()
    found = told(shop_config)
    if "planner module" in found["pushed cardinalities"].how:
        assert found["what-if indexes"].how == "by the planner module"
    config = copy.copy(shop_config)
    config.planner = "never"
    what_if = told(config)["what-if indexes"]
    assert what_if.how.startswith("HypoPG ") == installed
    assert what_if.state == ("full" if installed else "coarse")
