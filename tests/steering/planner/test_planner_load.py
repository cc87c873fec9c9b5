"""Loading: where the module comes from, and what is said where it cannot come."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from steered import Steered, home_of, pg_config_of, pg_config_script

from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.session.server_place import ServerPlace
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.planner import Missing, Planner, building, find_built, load, loading


@pytest.fixture
def session(planner_target: PostgresTarget) -> Iterator[PostgresSession]:
    session = planner_target.session()
    yield session
    session.close()


@pytest.fixture
def ordinary(session: PostgresSession, role: str) -> PostgresSession:
    """A session of a role without a superuser's rights."""
    session.execute(f"SET SESSION AUTHORIZATION {role}")
    return session


def version_of(session: PostgresSession) -> str:
    return str(session.connection.get_parameter_status("server_version")).split()[0]


NOWHERE = ServerPlace(None, False, None, None, None, None)


def idle_module(session: PostgresSession, kind: str, folder: Path) -> Path:
    """A module in `folder`, by the name of pilot's, that has its settings and does nothing."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    source = folder / "idle.c"
    source.write_text(
        '#include "postgres.h"\n#include "fmgr.h"\n#include "utils/guc.h"\n'
        "PG_MODULE_MAGIC;\nextern PGDLLEXPORT void _PG_init(void);\nstatic char *a, *b;\n"
        'void _PG_init(void) { DefineCustomStringVariable("pilot_planner.rows", "", "", &a, "",'
        ' PGC_USERSET, 0, 0, 0, 0); DefineCustomStringVariable("pilot_planner.report", "", "",'
        ' &b, "", PGC_USERSET, 0, 0, 0, 0); }\n'
    )
    headers = subprocess.run(
        [pg_config_of(kind), "--includedir-server"], capture_output=True, text=True, check=True
    )
    target = folder / building.object_name(version_of(session))
    command = ["cc", "-shared", "-fPIC", f"-I{headers.stdout.strip()}", source, "-o", target]
    subprocess.run(command, check=True)
    target.chmod(0o755)
    return target


def test_from_the_cache_and_again(session: PostgresSession, cache: Path) -> None:
    planner = load(session, cache=cache, pg_config=None, may_build=False)
    assert planner == Planner(str(find_built(version_of(session), cache)))
    assert planner.statement is not None
    assert load(session, cache=cache, pg_config=None, may_build=False) == Planner(None)
    assert session.connection.notices == []


def test_another_session_takes_the_statement(
    planner_target: PostgresTarget, session: PostgresSession, cache: Path
) -> None:
    planner = load(session, cache=cache, pg_config=None, may_build=False)
    assert isinstance(planner, Planner)
    other = planner_target.session()
    other.execute(str(planner.statement))
    _, report = Steered(other).run("SELECT count(*) FROM posts p", {"p": 3})
    assert report.applied == (0,)
    other.close()


def test_it_is_built_where_it_may_be(
    session: PostgresSession, kind: str, homes: Path, cache: Path
) -> None:
    fresh = home_of(kind, homes) / "fresh"
    missing = load(session, cache=fresh, pg_config=None, may_build=False)
    assert isinstance(missing, Missing)
    assert "not built" in missing.reason
    assert "--build" in missing.remedy
    assert not fresh.exists()
    planner = load(session, cache=fresh, pg_config=pg_config_of(kind), may_build=True)
    assert isinstance(planner, Planner)
    assert len(list(fresh.iterdir())) == 1


def test_headers_of_another_minor_version(
    session: PostgresSession, kind: str, homes: Path, tmp_path: Path
) -> None:
    """What is built with them is loaded, then and later, and says so."""
    version = version_of(session)
    if not version.replace(".", "").isdigit():
        pytest.skip(f"PostgreSQL {version} is a pre-release")
    other = f"{version.split('.')[0]}.99"
    really = pg_config_of(kind)
    script = pg_config_script(tmp_path / "pg_config", f"PostgreSQL {other}", f'{really} "$@"')
    cache = home_of(kind, homes) / "other_minor"
    planner = load(session, cache=cache, pg_config=script, may_build=True)
    assert isinstance(planner, Planner)
    assert planner.built_for == other
    _, report = Steered(session).run("SELECT count(*) FROM posts p", {"p": 3})
    assert report.applied == (0,)


def test_headers_of_another_minor_version_later(
    planner_target: PostgresTarget, kind: str, homes: Path, cache: Path
) -> None:
    session = planner_target.session()
    version = version_of(session)
    if not version.replace(".", "").isdigit():
        pytest.skip(f"PostgreSQL {version} is a pre-release")
    other = home_of(kind, homes) / "only_other_minor"
    other.mkdir(mode=0o755)
    built = find_built(version, cache)
    assert built is not None
    newer = f"{version.split('.')[0]}.99"
    copy = shutil.copy(built, other / building.object_name(newer))
    planner = load(session, cache=other, pg_config=None, may_build=False)
    assert planner == Planner(str(copy), newer)
    session.close()


def test_headers_of_another_pre_release_are_refused(
    session: PostgresSession, kind: str, tmp_path: Path
) -> None:
    """Their structures may differ, and the server would crash."""
    other = f"{version_of(session).split('.')[0].split('rc')[0]}beta1"
    really = pg_config_of(kind)
    script = pg_config_script(tmp_path / "pg_config", f"PostgreSQL {other}", f'{really} "$@"')
    missing = load(session, cache=tmp_path / "cache", pg_config=script, may_build=True)
    assert isinstance(missing, Missing)
    assert f"{script} is of PostgreSQL {other}, and the server is" in missing.reason
    assert not (tmp_path / "cache").exists()


def test_a_server_that_the_source_does_not_know(
    planner_target: PostgresTarget, role: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No role is sent to build what cannot be built."""
    monkeypatch.setattr(building, "NEWEST_MAJOR", 12)
    for user in ("postgres", role):
        session = planner_target.session()
        session.execute(f"SET SESSION AUTHORIZATION {user}")
        missing = load(session, cache=cache, pg_config=None, may_build=False)
        assert isinstance(missing, Missing)
        assert "the planner module knows PostgreSQL 13 to 12, not " in missing.reason
        assert "--build" not in missing.remedy
        session.close()


def test_where_a_pg_config_was_looked_for(
    session: PostgresSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    monkeypatch.setattr(building, "_PLACES", (f"{tmp_path}/{{}}/bin",))
    monkeypatch.setattr(loading, "find_server_place", lambda session: NOWHERE)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = load(session, cache=tmp_path / "cache", pg_config=None, may_build=True)
    assert isinstance(missing, Missing)
    major = major_of(version_of(session))
    assert f"(looked for {tmp_path}/{major}/bin/pg_config)" in missing.reason
    assert f"postgresql-server-dev-{major}" in missing.remedy


def test_a_module_of_an_earlier_pilot_among_the_plugins(
    planner_target: PostgresTarget,
    session: PostgresSession,
    role: str,
    cache: Path,
    homes: Path,
    kind: str,
    installed: Path,
) -> None:
    """A superuser loads the file of this version first; other roles are told to replace it."""
    folder = home_of(kind, homes) / f"idle_{role}"
    folder.mkdir(mode=0o755)
    shutil.copy(idle_module(session, kind, folder), installed)
    other = planner_target.session()
    other.execute(f"SET SESSION AUTHORIZATION {role}")
    missing = load(other, cache=cache, pg_config=None, may_build=False)
    assert isinstance(missing, Missing)
    assert "it is of another version of pilot" in missing.reason
    assert f"`install -D -m 755 {find_built(version_of(session), cache)} " in missing.remedy
    other.close()
    planner = load(session, cache=cache, pg_config=None, may_build=False)
    assert planner == Planner(str(find_built(version_of(session), cache)))


def test_without_a_compiler(
    session: PostgresSession, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg_config = pg_config_of(kind)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    missing = load(session, cache=tmp_path / "cache", pg_config=pg_config, may_build=True)
    assert isinstance(missing, Missing)
    assert "no C compiler" in missing.reason
    assert "gcc" in missing.remedy
    assert session.execute("SELECT 1").rows == [(1,)]


def test_from_the_package(
    session: PostgresSession, cache: Path, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a wheel brings it, when nothing is in the cache."""
    monkeypatch.setattr(building, "PREBUILT", cache)
    planner = load(session, cache=homes / "nothing", pg_config=None, may_build=False)
    assert planner == Planner(str(cache / building.object_name(version_of(session))))


def test_from_the_package_of_another_minor_version(
    session: PostgresSession,
    cache: Path,
    homes: Path,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The embedded server is newer than the wheel of pilot, and there is no compiler."""
    version = version_of(session)
    if not version.replace(".", "").isdigit():
        pytest.skip(f"PostgreSQL {version} is a pre-release")
    other = home_of(kind, homes) / "prebuilt"
    other.mkdir(mode=0o755)
    built = find_built(version, cache)
    assert built is not None
    older = f"{version.split('.')[0]}.0"
    copy = shutil.copy(built, other / building.object_name(older))
    monkeypatch.setattr(building, "PREBUILT", other)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    planner = load(session, cache=homes / "nothing", pg_config=pg_config_of(kind), may_build=True)
    assert planner == Planner(str(copy), older)


def test_an_object_that_is_none(session: PostgresSession, homes: Path, kind: str) -> None:
    cache = home_of(kind, homes) / "spoilt"
    cache.mkdir(mode=0o755)
    file = cache / building.object_name(version_of(session))
    file.write_text("no object")
    file.chmod(0o755)
    missing = load(session, cache=cache, pg_config=None, may_build=True)
    assert isinstance(missing, Missing)
    assert str(file) in missing.reason
    assert "delete the file" in missing.remedy


def test_an_object_that_the_server_cannot_reach(
    session: PostgresSession,
    cache: Path,
    homes: Path,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For root the server is another user, who cannot enter a private folder."""
    outside = home_of(kind, homes) / "outside"
    outside.mkdir(mode=0o755)
    monkeypatch.setattr(loading, "outside_folder", lambda account, kind: outside)
    tmp_path.chmod(0o700)
    built = find_built(version_of(session), cache)
    assert built is not None
    shutil.copy(built, tmp_path / built.name)
    planner = load(session, cache=tmp_path, pg_config=None, may_build=False)
    used = outside if os.geteuid() == 0 else tmp_path
    assert planner == Planner(str(used / built.name))


def test_an_object_that_an_ordinary_user_keeps_private(
    session: PostgresSession,
    cache: Path,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only root copies it to where the server's user can read it."""
    if os.geteuid() != 0:
        pytest.skip("the server runs as the user of the tests, who may read everything here")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    tmp_path.chmod(0o700)
    built = find_built(version_of(session), cache)
    assert built is not None
    copy = shutil.copy(built, tmp_path)
    missing = load(session, cache=tmp_path, pg_config=None, may_build=False)
    assert isinstance(missing, Missing)
    assert f"run as root `install -D -m 755 {copy} " in missing.remedy
    assert "`home:`" in missing.remedy


def test_an_ordinary_role_needs_an_administrator(
    ordinary: PostgresSession, role: str, cache: Path
) -> None:
    missing = load(ordinary, cache=cache, pg_config=None, may_build=True)
    assert isinstance(missing, Missing)
    assert f"{role!r} is not a superuser" in missing.reason
    assert "plugins/pilot_planner" in missing.reason
    assert 'plugins/pilot_planner.so"' in missing.remedy
    assert not ordinary.in_transaction


@pytest.fixture
def installed(session: PostgresSession, cache: Path, kind: str) -> Iterator[Path]:
    """What an administrator does: the object put among the server's plugins."""
    config = session.execute("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'")
    plugins = Path(config.rows[0][0]) / "plugins"
    built = find_built(version_of(session), cache)
    assert built is not None
    was_there = plugins.is_dir()
    try:
        plugins.mkdir(exist_ok=True)
        target = plugins / "pilot_planner.so"
        if target.exists():
            pytest.skip("somebody has installed the module on this machine")
        shutil.copy(built, target)
    except OSError as error:
        pytest.skip(f"the server's libraries are not ours to add to: {error}")
    yield target
    target.unlink()
    if not was_there:
        plugins.rmdir()


@pytest.mark.usefixtures("installed")
def test_an_ordinary_role_takes_what_is_installed(ordinary: PostgresSession, cache: Path) -> None:
    planner = load(ordinary, cache=cache, pg_config=None, may_build=False)
    assert planner == Planner("$libdir/plugins/pilot_planner")
    _, report = Steered(ordinary).run("SELECT count(*) FROM posts p", {"p": 3}, "blocks,time")
    assert report.applied == (0,)


def test_an_installed_one_that_does_not_load(
    session: PostgresSession, role: str, cache: Path, installed: Path
) -> None:
    """A superuser does without it; an ordinary role cannot."""
    installed.write_text("no object")
    session.execute(f"SET SESSION AUTHORIZATION {role}")
    missing = load(session, cache=cache, pg_config=None, may_build=True)
    assert isinstance(missing, Missing)
    assert "could not load library" in missing.reason
    session.execute("RESET SESSION AUTHORIZATION")
    planner = load(session, cache=cache, pg_config=None, may_build=False)
    assert planner == Planner(str(find_built(version_of(session), cache)))


def test_one_that_pushes_nothing_is_found_out(
    session: PostgresSession, homes: Path, kind: str
) -> None:
    """A setting that can be set does not prove that something acts on it."""
    cache = home_of(kind, homes) / "idle"
    cache.mkdir(mode=0o755)
    idle_module(session, kind, cache)
    missing = load(session, cache=cache, pg_config=None, may_build=False)
    assert isinstance(missing, Missing)
    assert "do not appear in the plan" in missing.reason
    missing = load(session, cache=cache, pg_config=None, may_build=False)
    assert isinstance(missing, Missing)
