"""What `pip install .` brings is enough for pilot, and what needs more says which extra brings it.

The programs run in an environment in which nothing else can be imported.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_install import absent_packages, plain_distributions, plain_environment
from project_folder import PILOT, Project

ROOT = Path(__file__).parents[2]

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def plain(tmp_path: Path, project: Project) -> Program:
    environment = plain_environment(tmp_path / "hook")

    def run(*command: str, cwd: Path = project.folder) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_a_plain_installation_is_known() -> None:
    assert {"numpy", "pandas", "sqlglot", "typer", "psycopg2-binary"} <= plain_distributions()
    assert {"scipy", "matplotlib", "sklearn", "pyarrow", "mlflow", "pytest"} <= absent_packages()
    assert not {"numpy", "pandas", "rich", "yaml", "pilotcli"} & absent_packages()


def test_nothing_else_can_be_imported(plain: Program) -> None:
    done = plain(sys.executable, "-c", "import pandas; print(pandas.__name__); import scipy")
    assert done.stdout == "pandas\n"
    assert "No module named 'scipy'" in done.stderr


@pytest.mark.slow
def test_the_first_command_of_the_readme(plain: Program, tmp_path: Path) -> None:
    home = f"home={tmp_path / 'home'}"
    done = plain(
        *(PILOT, "run", "workloads/forum.sql", "-c", "configs/forum.yaml"),
        *("--limit", "20", "--set", home),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "latency v2" in done.stdout


@pytest.mark.slow
def test_a_comparison_is_judged_and_its_page_says_what_it_lacks(
    plain: Program, project: Project
) -> None:
    project.config()
    project.write("w.sql", "".join(f"SELECT count(*) + {n} FROM pg_class;\n" for n in range(8)))
    done = plain(
        *(PILOT, "run", "w.sql", "--against", "native", "--rounds", "3"),
        *("--report", "r.html", "--output", "r.csv", "--junit", "r.xml", "--summary", "r.md"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "geometric mean" in done.stdout
    reason = "The charts are left out, because matplotlib is not installed."
    assert f"r.html: {reason}" in done.stderr
    page = (project.folder / "r.html").read_text()
    assert reason in page
    assert "pip install &#x27;pilot-db[charts]&#x27;, then pilot runs report 1 -o FILE" in page
    assert "<table" in page and "<svg" not in page
    again = plain(PILOT, "runs", "report", "1", "-o", "again.html")
    assert (again.returncode, reason in again.stderr) == (0, True)
    with_charts = project.command("runs", "report", "1", "-o", "again.html")
    assert (with_charts.returncode, with_charts.stderr) == (0, "")
    assert "<svg" in (project.folder / "again.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("run", "w.sql", "--output", "r.parquet"), "parquet"),
        (("run", "w.sql", "--mlflow", "file:runs"), "mlflow"),
    ],
)
def test_what_needs_an_extra_names_it_before_the_run(
    plain: Program, project: Project, arguments: tuple[str, ...], extra: str
) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;\n")
    done = plain(PILOT, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"pip install 'pilot-db[{extra}]'" in done.stderr
    assert not (project.folder / ".pilot" / "journal.db").exists()


def test_a_drawer_names_its_extra(plain: Program) -> None:
    code = "from pilotcli.compat.pilotscope.Common.Drawer import Drawer; Drawer.draw_bar({}, 'x')"
    done = plain(sys.executable, "-c", code)
    assert "CapabilityError: Drawer needs matplotlib" in done.stderr
    assert done.returncode == 1
