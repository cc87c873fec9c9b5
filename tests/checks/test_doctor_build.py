"""`pilot doctor --build` says what it took, and builds for other machines too."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from project_folder import Project
from steered import WHEEL, pg_config_of, pg_config_script

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]

NOBODY = "database.dsn=postgresql://localhost:1/shop"


def doctor(project: Project, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and checks and capabilities by name."""
    if not (project.folder / "pilot.yaml").exists():
        project.config()
    done = project.command("doctor", "--format", "json", *words)
    found = json.loads(done.stdout)
    return done.returncode, {item["what"]: item for item in found["checks"] + found["capabilities"]}


def version_of(pg_config: Path) -> str:
    done = subprocess.run([pg_config, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def test_it_names_the_pg_config_that_it_took(project: Project) -> None:
    code, found = doctor(project, "--build")
    (file,) = (project.folder / ".pilot" / "planner").glob("*.so")
    assert code == 0
    assert found["module"]["found"] == f"{file}, built with {pg_config_of(WHEEL)}"
    _, found = doctor(project, "--build")
    assert found["module"]["found"] == f"{file}, was built before"


@pytest.mark.parametrize("reachable", [True, False])
def test_for_another_machine(project: Project, reachable: bool, tmp_path: Path) -> None:
    """The database is not asked. What is said about the file leads there."""
    pg_config = pg_config_of(WHEEL)
    words = ["--build", "--pg-config", str(pg_config), "--out", "for/them/pilot.so"]
    code, found = doctor(project, *words, *([] if reachable else ["--set", NOBODY]))
    file = project.folder / "for" / "them" / "pilot.so"
    assert file.read_bytes()[:4] == b"\x7fELF"
    assert file.stat().st_mode & 0o777 == 0o755
    module = found["module"]
    assert module["state"] == "ok"
    expected = f"for/them/pilot.so, for PostgreSQL {version_of(pg_config)}, built with {pg_config}"
    assert module["found"] == expected
    assert (code == 0) == reachable
    command = module["remedy"].split("`")[1]
    libraries = tmp_path / "libraries"
    pg_config_script(tmp_path / "bin" / "pg_config", "PostgreSQL 18", f"echo {libraries}")
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    subprocess.run(command, shell=True, check=True, cwd=file.parent, env=path)
    assert (libraries / "plugins" / "pilot_planner.so").read_bytes() == file.read_bytes()


def test_for_the_server_and_another_machine(project: Project) -> None:
    code, found = doctor(project, "--out", "module.so")
    assert code == 0
    assert found["module"]["found"].startswith("module.so, built with ")
    assert (project.folder / "module.so").is_file()
    assert found["pushed cardinalities"]["state"] == "full"


def test_a_file_that_cannot_be_written(project: Project) -> None:
    project.write("file", "")
    code, found = doctor(project, "--build", "--out", "file/module.so")
    assert code == 2
    assert "file/module.so cannot be written" in found["module"]["found"]


def test_headers_of_another_minor_version_do_not_loop(project: Project) -> None:
    """What was built with them is loaded later, and by a build without them replaced."""
    pg_config = pg_config_of(WHEEL)
    version = version_of(pg_config)
    if not version.replace(".", "").isdigit():
        pytest.skip(f"PostgreSQL {version} is a pre-release")
    other = f"{version.split('.')[0]}.99"
    script = pg_config_script(
        project.folder / "bin" / "pg_config", f"PostgreSQL {other}", f'exec {pg_config} "$@"'
    )
    code, found = doctor(project, "--build", "--pg-config", str(script))
    assert code == 0
    assert f"(headers of {other}; the server is {version})" in found["module"]["found"]
    _, found = doctor(project)
    for what in ("plan and time", "sub-plan cardinalities", "pushed cardinalities"):
        assert found[what]["state"] == "full"
        assert found[what]["how"].endswith(f"planner module, built with the headers of {other}")
    _, found = doctor(project, "--build")
    assert found["pushed cardinalities"]["how"] == "relations and joins: planner module"


def test_headers_of_another_major_version(project: Project) -> None:
    script = pg_config_script(project.folder / "bin" / "pg_config", "PostgreSQL 14.5", "echo /x")
    code, found = doctor(project, "--build", "--pg-config", str(script))
    assert code == 2
    assert f"{script} is of PostgreSQL 14.5, and the server is" in found["module"]["found"]


def test_what_is_no_pg_config(project: Project) -> None:
    code, found = doctor(project, "--pg-config", "/nowhere/pg_config", "--out", "module.so")
    assert code == 2
    assert found["module"]["state"] == "problem"
    assert "/nowhere/pg_config does not run" in found["module"]["found"]
    assert not (project.folder / "module.so").exists()


def test_what_the_compiler_says(project: Project) -> None:
    """Its errors reach the reader, not its last lines."""
    headers = project.folder / "headers"
    headers.mkdir()
    (headers / "postgres.h").write_text("#error these headers are broken\n" + "int a = b;\n" * 30)
    version = version_of(pg_config_of(WHEEL))
    script = pg_config_script(
        project.folder / "bin" / "pg_config", f"PostgreSQL {version}", f"echo {headers}"
    )
    code, found = doctor(project, "--build", "--pg-config", str(script))
    assert code == 2
    assert "error: #error these headers are broken" in found["module"]["found"]
