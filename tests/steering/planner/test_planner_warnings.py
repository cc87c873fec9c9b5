"""The module compiles without a warning for each server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from steered import KINDS, pg_config_of

from pilotcli.steering.planner.building import SOURCES

pytestmark = pytest.mark.slow

WARNINGS = (
    *("-Wall", "-Wextra", "-Werror", "-Wmissing-prototypes", "-Wpointer-arith"),
    *("-Wdeclaration-after-statement", "-Wshadow=compatible-local", "-Wformat-security"),
)


def headers(pg_config: Path) -> Path:
    told = subprocess.run(
        [pg_config, "--includedir-server"], capture_output=True, text=True, check=True
    )
    folder = Path(told.stdout.strip())
    if not (folder / "postgres.h").is_file():
        pytest.skip(f"the server's headers are not in {folder}")
    return folder


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("kind", KINDS)
def test_it_compiles_without_a_warning(kind: str, tmp_path: Path) -> None:
    folder = headers(pg_config_of(kind))
    # The server's own headers are not ours to be strict about.
    command = ["cc", "-O2", "-fPIC", "-D_GNU_SOURCE", "-fwrapv", "-fno-strict-aliasing", *WARNINGS]
    command += ["-isystem", str(folder), "-o", str(tmp_path / "out.o"), "-c"]
    for source in (file for file in SOURCES if file.suffix == ".c"):
        done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        assert done.returncode == 0
