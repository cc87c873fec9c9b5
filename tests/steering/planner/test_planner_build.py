"""The module is compiled once, and says what keeps it from compiling."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from steered import WHEEL, pg_config_of, pg_config_script

from pilotcli.common.errors import CapabilityError, StorageError
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.steering.planner import build, building, find_built, find_pg_config
from pilotcli.steering.planner.building import SOURCES, object_name

pytestmark = pytest.mark.slow

_compile_really = building._compile


@pytest.fixture(autouse=True)
def real_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests take copies of what was compiled once."""
    monkeypatch.setattr(building, "_compile", _compile_really)


@pytest.fixture
def pg_config() -> Path:
    return pg_config_of(WHEEL)


@pytest.fixture
def needs_compiler() -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")


@pytest.mark.usefixtures("needs_compiler")
def test_it_is_compiled_once_for_each_version_and_source(
    pg_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "deep" / "cache"
    built = build(pg_config, cache)
    inode = built.stat().st_ino
    assert build(pg_config, cache).stat().st_ino == inode
    assert [file.name for file in cache.iterdir()] == [built.name]
    version = built.name.split("-")[1]
    assert find_built(version, cache) == built
    assert find_built("12.1", cache) is None
    changed = tmp_path / "sources"
    shutil.copytree(SOURCES[0].parent, changed)
    files = tuple(changed / file.name for file in SOURCES)
    header = next(file for file in files if file.suffix == ".h")
    header.write_text(header.read_text() + "\n")
    monkeypatch.setattr(building, "SOURCES", files)
    building._source_hash.cache_clear()
    try:
        assert find_built(version, cache) is None
        assert build(pg_config, cache) != built
    finally:
        monkeypatch.undo()
        building._source_hash.cache_clear()


@pytest.mark.usefixtures("needs_compiler")
def test_several_build_at_once(pg_config: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        built = set(pool.map(build, [pg_config] * 3, [tmp_path] * 3))
    assert list(tmp_path.iterdir()) == list(built)


def test_without_a_compiler(
    pg_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CapabilityError, match="no C compiler") as caught:
        build(pg_config, tmp_path / "cache")
    assert "gcc" in str(caught.value.hint)


def fake_pg_config(folder: Path, version: str = "PostgreSQL 17.2") -> Path:
    """A pg_config of a server whose headers are not there."""
    return pg_config_script(folder / "bin" / "pg_config", version, "echo /nowhere/at/all")


@pytest.mark.usefixtures("needs_compiler")
def test_without_headers(tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match=r"headers of PostgreSQL 17\.2") as caught:
        build(fake_pg_config(tmp_path), tmp_path / "cache")
    assert "postgresql-server-dev-17" in str(caught.value.hint)


def test_what_is_no_pg_config(tmp_path: Path) -> None:
    for file in (tmp_path / "nothing", fake_pg_config(tmp_path, "MySQL 8")):
        with pytest.raises(CapabilityError, match=r"is not PostgreSQL's"):
            build(file, tmp_path / "cache")


@pytest.mark.usefixtures("needs_compiler")
def test_an_error_of_the_compiler_is_shown(
    pg_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.c"
    lines = ["#error this cannot be", *("int one = missing;" for _ in range(20))]
    broken.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(building, "SOURCES", (broken,))
    with pytest.raises(CapabilityError, match="this cannot be") as caught:
        build(pg_config, tmp_path / "cache")
    assert str(broken) in str(caught.value.hint)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("needs_compiler")
@pytest.mark.parametrize("number", [120022, 200000])
def test_an_unknown_major_version_is_refused(
    number: int, pg_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.c"
    other.write_text(
        f'#include "postgres.h"\n#undef PG_VERSION_NUM\n#define PG_VERSION_NUM {number}\n'
        + SOURCES[-1].read_text()
    )
    monkeypatch.setattr(building, "SOURCES", (other,))
    with pytest.raises(CapabilityError, match="knows PostgreSQL 13 to 19"):
        build(pg_config, tmp_path / "cache")


@pytest.mark.usefixtures("needs_compiler")
def test_a_cache_that_cannot_be_made(pg_config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        build(pg_config, tmp_path / "file" / "cache")


def test_pg_config_is_found_by_major_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = object_version(pg_config_of(WHEEL))
    assert find_pg_config(version) is not None
    assert find_pg_config("12.1") is None
    file = fake_pg_config(tmp_path, "PostgreSQL 12.9 (Somebody's 12.9-1)")
    monkeypatch.setenv("PATH", str(file.parent), prepend=os.pathsep)
    assert find_pg_config("12.1") == file


@pytest.mark.parametrize("version", ["19rc1", "19~rc1", "19beta2", "19devel", "19.1", "19"])
def test_a_pre_release_is_of_its_major_version(version: str, tmp_path: Path) -> None:
    (tmp_path / "postgres.h").touch()
    told = "PostgreSQL 19rc1 (Debian 19~rc1-1)"
    file = pg_config_script(tmp_path / "bin" / "pg_config", told, f"echo {tmp_path}")
    assert find_pg_config(version, file.parent) == file
    assert major_of(version) == 19


def object_version(pg_config: Path) -> str:
    told = subprocess.run([pg_config, "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[1]


def test_the_name_tells_version_and_machine() -> None:
    assert object_name("18.6").startswith(f"pilot_planner-18.6-{os.uname().machine}-")


def test_releases_of_a_major_version_take_each_other_s_file(tmp_path: Path) -> None:
    def built(version: str) -> Path:
        file = tmp_path / object_name(version)
        file.touch()
        return file

    other, pre = built("18.4"), built("18rc1")
    assert find_built("18.6", tmp_path) == other
    nearer = built("18.5")
    assert find_built("18.6", tmp_path) == nearer
    assert find_built("18rc1", tmp_path) == pre
    assert find_built("18beta2", tmp_path) is None, "structures change before the first release"
    assert find_built("17.6", tmp_path) is None
    same = built("18.6")
    assert find_built("18.6", tmp_path) == same


def test_the_pg_config_with_headers_and_of_the_same_release_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_PLACES", (f"{tmp_path}/{{}}/a", f"{tmp_path}/{{}}/b"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    headers = tmp_path / "include"
    headers.mkdir()
    (headers / "postgres.h").touch()
    for version in ("16.2", "15.7"):
        major = version.split(".")[0]
        for folder, theirs in (("a", version), ("b", f"{major}.9")):
            place = tmp_path / major / folder / "pg_config"
            pg_config_script(place, f"PostgreSQL {theirs}", f"echo {headers}")
    without = pg_config_script(tmp_path / "14" / "a" / "pg_config", "PostgreSQL 14.1", "echo /x")
    with_headers = pg_config_script(
        tmp_path / "14" / "b" / "pg_config", "PostgreSQL 14.9", f"echo {headers}"
    )
    assert find_pg_config("16.9") == tmp_path / "16" / "b" / "pg_config"
    assert find_pg_config("16.3") == tmp_path / "16" / "a" / "pg_config"
    assert find_pg_config("14.1") == with_headers
    with_headers.unlink()
    assert find_pg_config("14.1") == without
    first = tmp_path / "15" / "b"
    assert find_pg_config("15.7", first) == first / "pg_config", "a folder that is given"


@pytest.mark.parametrize("version", ["20devel", "12.22"])
def test_a_pg_config_of_an_unknown_major_version_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match=f"knows PostgreSQL 13 to 19, not {version}"):
        build(fake_pg_config(tmp_path, f"PostgreSQL {version}"), tmp_path / "cache")
    source = SOURCES[-1].read_text()
    assert f"PG_VERSION_NUM >= {building.NEWEST_MAJOR + 1}0000" in source


@pytest.mark.usefixtures("needs_compiler")
def test_it_is_built_again_where_that_is_asked_for(pg_config: Path, tmp_path: Path) -> None:
    built = build(pg_config, tmp_path)
    built.write_text("spoilt")
    assert build(pg_config, tmp_path).read_text() == "spoilt"
    assert build(pg_config, tmp_path, again=True).read_bytes()[:4] == b"\x7fELF"
