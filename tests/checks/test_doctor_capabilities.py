"""`pilot doctor` tells the truth about what the database can do for a driver."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from project_folder import Project

from pilotcli.checks.doctor import Check
from pilotcli.steering.probing import Capability
from pilotcli.views.doctor import AS_ABOVE, show_checks


def able(project: Project, *words: str, **environment: str) -> dict[str, dict[str, str]]:
    import os

    done = project.command("doctor", "--format", "json", *words, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["state"] for one in told["checks"]].count("problem") == 0
    return {one["what"]: one for one in told["capabilities"]}


@pytest.mark.slow
def test_the_server_s_own_superuser(project: Project) -> None:
    found = able(project, "--build")
    assert found["hints"]["state"] == "full"
    assert found["pushed cardinalities"] == {
        "what": "pushed cardinalities",
        "state": "full",
        "how": "relations and joins: planner module",
        "remedy": "",
    }
    assert found["plan and time"]["how"].endswith("planner module")


@pytest.mark.slow
def test_without_the_module(project: Project) -> None:
    found = able(project, "--set", "steering.planner=never")
    assert found["plan and time"]["how"].endswith("auto_explain")
    assert found["sub-plan cardinalities"]["state"] == "coarse"
    hints = found["hint comments"]["state"] == "full"
    assert found["pushed cardinalities"]["state"] == ("coarse" if hints else "missing")
    assert "never" in found["pushed cardinalities"]["remedy"]
    reason = "sub-plan cardinalities" if hints else "pushed cardinalities"
    assert "switched off" in found[reason]["how"]


@pytest.mark.parametrize(
    ("states", "last"),
    [
        (["ok"], "All is well."),
        (["ok", "warning"], "1 warning"),
        (["problem", "warning", "warning"], "1 problem, 2 warnings"),
    ],
)
def test_all_is_well_only_where_nothing_else_is_told(
    states: list[Literal["ok", "warning", "problem"]],
    last: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_checks([Check("module", state, "found") for state in states], "table")
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_what_to_do_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Check("module", "warning", "not loaded", "Run this.\nOr run those."),
        Capability("plan and time", "coarse", "a second EXPLAIN", "Run this."),
        Capability("hint comments", "missing", "no pg_hint_plan", "Run that."),
        Capability("hints", "full", "SET LOCAL"),
        Capability("join order", "full", "rewritten"),
    ]
    show_checks(found, "table")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [lines.count(text) for text in ("Run this.", "Run that.", AS_ABOVE)] == [1, 1, 1]
    show_checks(found, "json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["capabilities"][0]["remedy"] == "Run this."
