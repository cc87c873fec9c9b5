"""The tutorials in docs/: their files and commands work as they stand, and print what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"`(\w+\.(?:py|yaml|sql))`[^`]*:\Z")


def run(commands: str, folder: Path) -> str:
    """What the commands of a block print, and behind it the folder in which they end."""
    done = subprocess.run(
        ["bash", "-e", "-c", f"{commands}echo\npwd"],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{commands}{done.stdout}"
    return done.stdout


def without_figures(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?( (µs|ms|s|B|kB)\b)?", "N", text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("events.md", "Tutorial: a pretraining event"),
        ("events.md", "Test your driver"),
        ("steering.md", "Tutorial: a handler"),
        ("debugging.md", "Tutorial: one event, one query"),
        ("pilotscope.md", "Tutorial: from a script to `pilot run`"),
        ("tutorial.md", None),
    ],
)
def test_a_tutorial_does_what_it_says(page: str, title: str | None, tmp_path: Path) -> None:
    tutorial = (DOCS / page).read_text("utf-8")
    if title is not None:  # one section of the page
        _, heading, rest = tutorial.partition(f"\n## {title}\n")
        tutorial = rest.partition("\n## ")[0]
        assert heading
    folder, printed, shown = tmp_path, "", 0
    for before, language, block in BLOCK.findall(tutorial):
        if language == "sh":
            *lines, last = run(block, folder).splitlines()
            printed, folder = "\n".join(lines), Path(last)
        elif language == "text":
            for line in block.splitlines():
                assert without_figures(line) in without_figures(printed), printed
                shown += 1
        else:
            name = FILE.search(before)
            assert name, f"no file is named above this block: {before}"
            file = folder / name[1]
            known = f"{file.read_text()}\n\n" if "Add to" in before else ""
            file.write_text(known + block)
    assert shown


def test_the_driver_of_the_tutorial_is_as_short_as_it_says() -> None:
    text = (DOCS / "tutorial.md").read_text("utf-8")
    blocks = [block for _, language, block in BLOCK.findall(text) if language == "python"]
    lines = "\n\n".join(blocks).splitlines()
    (promised,) = re.findall(r"a learned driver in (\d+) lines", text)
    assert len(lines) == int(promised) < 60


def test_the_tutorial_leads_to_every_ready_made_driver() -> None:
    text = (DOCS / "tutorial.md").read_text("utf-8")
    drivers = (DOCS.parent / "pilotcli" / "drivers").glob("[!_]*.py")
    assert set(re.findall(r"\(\.\./pilotcli/drivers/(\w+\.py)\)", text)) == {
        path.name for path in drivers
    }
