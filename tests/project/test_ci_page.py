"""The workflow of docs/ci.md: its shell steps do what the page says, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from project_folder import Project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ci.md"
HANDLERS = """
from pilotcli import HintPushHandler


class Idle(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "5MB"}


class Slow(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"enable_mergejoin": "off", "enable_hashjoin": "off"}
"""
# A join of about 1 ms, and what no plan changes, next to which the settings of a push are nothing.
QUERIES = "".join(
    f"SELECT count(*), {n}, (SELECT count(*) FROM generate_series(1, 50000))"
    " FROM generate_series(1, 1000) a(n) JOIN generate_series(1, 1000) b(n) ON a.n = b.n;\n"
    for n in range(8)
)


def steps() -> list[dict[str, Any]]:
    text = PAGE.read_text("utf-8")
    begin = text.index("```yaml\n") + len("```yaml\n")
    workflow = yaml.safe_load(text[begin : text.index("```\n", begin)])
    (job,) = workflow["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def run_steps(project: Project) -> dict[str, int]:
    """Run the shell steps as GitHub does (`bash -e`), but the installation; their exit codes."""
    page = project.folder / "page.md"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(page),
        "CI": "true",
    }
    codes: dict[str, int] = {}
    for step in steps():
        if "run" not in step or step["name"] == "Install":
            continue
        if any(codes.values()) and step.get("if") != "always()":
            continue
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=project.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        codes[step["name"]] = done.returncode
    return codes


@pytest.mark.parametrize(("handler", "code"), [("Idle", 0), ("Slow", 5)])
def test_the_workflow_passes_noise_and_fails_a_real_regression(
    project: Project, handler: str, code: int
) -> None:
    project.write("own.py", HANDLERS)
    project.write("workload.sql", QUERIES)
    project.config(f"handlers:\n  - class: own.py:{handler}\n")
    codes = run_steps(project)
    if not code and codes != dict.fromkeys(codes, 0):
        # One comparison of equals in a hundred is called slower by the page's own word, but hardly
        # two in a row.
        codes = run_steps(project)
    assert list(codes.values()) == [code, 0]
    page = (project.folder / "page.md").read_text("utf-8").rpartition("\n## ")[2]
    assert page.removeprefix("## ").startswith("❌" if code else "✅")
    assert ("any.slowdown" in page) == bool(code)
    assert (project.folder / "junit.xml").exists()
    assert (project.folder / "report.html").exists()


def test_the_installation_takes_the_checkout_of_pilot() -> None:
    """pilot is on no package index, so the page installs the folder that it checks out."""
    (install,) = [step["run"] for step in steps() if step.get("name") == "Install"]
    folders = [step["with"]["path"] for step in steps() if "path" in step.get("with", {})][:1]
    assert install == f"pip install ./{folders[0]}"
    names = re.findall(r"^name = (.*)$", (ROOT / "setup.cfg").read_text("utf-8"), re.MULTILINE)
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        assert f"pip install {names[0]}" not in page.read_text("utf-8"), page.name
