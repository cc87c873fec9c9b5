"""What the README promises: its commands, its examples, its links."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from project_folder import PILOT

from pilotcli.cli.commands import COMMANDS, load_command
from pilotcli.cli.scaffold import write_scaffold

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RUN_LINE = (
    "python3 -m venv .venv && .venv/bin/pip install . && "
    ".venv/bin/pilot run workloads/forum.sql -c configs/forum.yaml"
)
TEST_LINE = (
    "python3 -m venv .venv && .venv/bin/pip install -c .ci/constraints.txt -e '.[test]' && "
    ".venv/bin/pytest -n 3 --dist loadfile"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_two_commands_stand_in_it() -> None:
    assert [one.strip() for one in blocks("sh")[:2]] == [RUN_LINE, TEST_LINE]


def test_ci_runs_the_test_command_as_it_stands() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert TEST_LINE in [line.strip() for line in lines]


def test_the_demo_s_files_are_there() -> None:
    assert (ROOT / "workloads" / "forum.sql").is_file()
    assert (ROOT / "configs" / "forum.yaml").is_file()


def pilot_lines() -> list[str]:
    lines = [
        line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    found = []
    for line in lines:
        for part in line.split(" && "):
            words = shlex.split(part)
            if words and Path(words[0]).name == "pilot":
                found.append(" ".join(["pilot", *words[1:]]))
    return found


def test_there_are_pilot_commands_in_it() -> None:
    assert len(pilot_lines()) >= 10


@pytest.mark.parametrize("line", pilot_lines())
def test_each_command_exists(line: str) -> None:
    words = line.split()[1:]
    path = next((path for path in (" ".join(words[:2]), words[0]) if path in COMMANDS), None)
    assert path is not None, f"{line} names no command"
    command = load_command(path)
    options = {option for one in command.params for option in one.opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_its_event_is_what_pilot_init_writes() -> None:
    written = (ROOT / "pilotcli" / "cli" / "scaffold" / "events.py").read_text()
    lines = [line.strip() for line in blocks("python")[0].splitlines()]
    body = [line for line in lines if line.startswith(("class", "new", "slowest", "print"))]
    assert len(body) == 4
    assert all(line in written for line in body)


def test_its_event_and_config_run_in_the_folder_of_pilot_init(
    tmp_path: Path, server_home: Path
) -> None:
    write_scaffold(tmp_path)
    (tmp_path / "events.py").write_text(blocks("python")[0])
    (tmp_path / "pilot.yaml").write_text(blocks("yaml")[0])
    done = subprocess.run(
        [PILOT, "run", "--set", f"home={server_home}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "slowest: " in done.stdout


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_anchor_is_a_heading() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([\w/.-]*)#([^)]+)\)", page.read_text("utf-8")):
            assert anchor in anchors(page.parent / target if target else page), f"{page} {anchor}"


def test_every_file_that_a_page_names_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"`((?:tests|pilotcli|docs|\.ci)/[\w/.]*)`", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name} names {target}"


def test_it_links_every_page() -> None:
    linked = {ROOT / target for target in re.findall(r"\]\(([\w/-]+\.md)", README)}
    assert linked == {*PAGES} - {ROOT / "README.md"}
