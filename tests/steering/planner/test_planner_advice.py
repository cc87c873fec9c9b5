"""What is advised where the module is missing fits the server, the role and what is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from steered import pg_config_script

from pilotcli.databases.session.server_place import CONTAINER, ServerPlace, _foreign
from pilotcli.steering.planner.advice import Need, how_to_install

FILE = Path("/home/me/my project/planner/pilot_planner-16.4-x86_64-0.so")
SHOWN = "'/home/me/my project/planner/pilot_planner-16.4-x86_64-0.so'"


def place(
    elsewhere: str | None = None,
    *,
    programs: Path | None = None,
    libraries: str | None = None,
    foreign: str | None = None,
) -> ServerPlace:
    contained = elsewhere == CONTAINER
    return ServerPlace(elsewhere, contained, None, programs, libraries, foreign)


def test_the_pg_config_beside_the_running_server_is_named(tmp_path: Path) -> None:
    """Another one on the PATH may belong to another version."""
    pg_config = pg_config_script(tmp_path / "bin" / "pg_config", "PostgreSQL 16.4", "echo /x")
    advice = how_to_install(Need("16.4", False, FILE), place(programs=pg_config.parent))
    assert f'"$({pg_config} --pkglibdir)/plugins/pilot_planner.so"`' in advice
    assert f"run as root `install -D -m 755 {SHOWN} " in advice


def test_the_server_s_own_word_for_its_libraries_is_best() -> None:
    advice = how_to_install(Need("16.4", True, FILE), place(libraries="/opt/pg/lib"))
    assert advice.endswith(f"`install -D -m 755 {SHOWN} /opt/pg/lib/plugins/pilot_planner.so`.")


@pytest.mark.parametrize("superuser", [True, False])
def test_a_container(superuser: bool) -> None:
    need = Need("16.4", superuser, FILE)
    advice = how_to_install(need, place(CONTAINER, libraries="/usr/lib/pg"))
    assert advice.startswith("The server does not see this machine's files")
    assert f"`docker cp {SHOWN} CONTAINER:/tmp/pilot_planner.so`" in advice
    assert "/tmp/pilot_planner.so /usr/lib/pg/plugins/pilot_planner.so`" in advice
    assert (f"or mount {FILE.parent} there at the same path" in advice) == superuser, (
        "only a superuser's session loads a file from there"
    )


def test_another_machine() -> None:
    advice = how_to_install(Need("16.4", False, FILE), place("the server runs on another machine"))
    assert f"Copy {FILE} to the server's machine" in advice
    assert f'`install -D -m 755 {FILE.name} "$(pg_config --pkglibdir)/plugins/' in advice
    assert "with the pg_config of PostgreSQL 16" in advice


def test_what_this_machine_cannot_build_for() -> None:
    advice = how_to_install(Need("16.4", True, None), place(CONTAINER, foreign="it is for musl"))
    assert "Build it on a system like the server's" in advice
    assert "`pilot doctor --build --pg-config PATH --out pilot_planner-16.4.so`" in advice


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("PostgreSQL 18.6 on x86_64-pc-linux-gnu, compiled by gcc", True),
        ("PostgreSQL 15.20 (Debian 15.20-0+deb12u1) on x86_64-pc-linux-gnu, compiled by", True),
        ("PostgreSQL 16.4 on x86_64-pc-linux-musl, compiled by gcc (Alpine 13.2.1)", False),
        ("PostgreSQL 16.4 on x86_64-alpine-linux-musl, compiled by gcc", False),
        ("PostgreSQL 16.4 on aarch64-unknown-linux-gnu, compiled by gcc", False),
        ("PostgreSQL 16.4, compiled by Visual C++ build 1937, 64-bit", True),
        ("PostgreSQL 16.4 on some-thing-new, compiled by", True),
    ],
)
def test_a_server_of_another_kind_of_system(
    version: str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known may fit; the server's own refusal tells then."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    assert (_foreign(version) is None) == fits
