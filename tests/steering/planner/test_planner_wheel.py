"""A wheel brings the compiled module where there is a compiler, and is built without one too."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from forum_demo import ROOT
from given_server import GIVEN
from steered import WHEEL, pg_config_of

from pilotcli.steering.planner.building import object_name

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        GIVEN not in (None, WHEEL),
        reason="a wheel is built with the headers of the PostgreSQL that comes with pilot",
    ),
]

NO_NETWORK = ("No matching distribution found for", "Failed to establish a new connection")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what is built, so that nothing is left in the checkout."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "pilotcli", folder / "pilotcli", ignore=ignored)
    return folder


def wheel_of(source: Path, path: str) -> Path:
    """The wheel that pip builds with `path` as the search path."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed here")
    out = source.parent / "wheels"
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "-w", str(out)]
    environment = {**os.environ, "PATH": path}
    environment.pop("CC", None)
    done = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if any(one in said for one in NO_NETWORK):
        pytest.skip("pip reaches no package index, where it looks for setuptools")
    assert done.returncode == 0, said
    (wheel,) = out.iterdir()
    return wheel


def test_with_a_compiler(source: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    if (sys.platform, os.uname().machine) != ("linux", "x86_64"):
        pytest.skip("compiled objects travel in wheels for Linux on x86-64")
    wheel = wheel_of(source, os.environ["PATH"])
    assert wheel.name.endswith("-py3-none-linux_x86_64.whl")
    told = subprocess.run(
        [pg_config_of(WHEEL), "--version"], capture_output=True, text=True, check=True
    )
    built = object_name(told.stdout.split()[1])
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert f"pilotcli/steering/planner/prebuilt/{built}" in names
    assert "pilotcli/steering/planner/pilot_planner.c" in names


def test_without_a_compiler(source: Path, tmp_path: Path) -> None:
    wheel = wheel_of(source, str(tmp_path))
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "pilotcli/steering/planner/pilot_planner.c" in names
    assert not any(name.endswith(".so") for name in names)
