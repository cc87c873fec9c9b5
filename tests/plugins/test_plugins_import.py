"""Which module a class path means when several could be meant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import ConfigError

EVENT = """\
    from pilotcli import QueryFinishEvent

    class Mine(QueryFinishEvent):
        source = {source!r}
        def process(self, db_controller, data_manager): ...
"""


def source_of(project: Any, class_path: str) -> str:
    [(_, cls)] = project.check(f"events: ['{class_path}']").events
    return str(cls.source)


def test_the_configs_folder_comes_before_the_current_one(project: Any) -> None:
    current = Path.cwd()
    (current / "only_here.py").write_text("from both_there import Mine\n")
    (current / "both_there.py").write_text("raise AssertionError('the config comes first')\n")
    project.write("both_there.py", EVENT.format(source="config"))
    assert source_of(project, "only_here.Mine") == "config"


def test_an_own_module_never_replaces_one_that_is_in_use(project: Any) -> None:
    before = sys.modules["yaml"]
    project.write("yaml.py", EVENT.format(source="own"))
    [problem] = project.refused("events: [yaml.Mine]")
    assert "the name 'yaml' is taken by" in problem
    assert "Name the file instead: yaml.py:Class" in problem
    assert source_of(project, "yaml.py:Mine") == "own"
    assert sys.modules["yaml"] is before


def test_a_module_of_pythons_own_is_never_replaced(project: Any) -> None:
    project.write("mine.py", "import colorsys\nassert colorsys.rgb_to_hsv\n")
    project.write("colorsys.py", EVENT.format(source="own"))
    with pytest.raises(ConfigError, match="mine has no class 'Nothing'"):
        project.check("events: [mine.Nothing]")


@pytest.mark.parametrize("class_path", ["mine.py:Mine", "mine.Mine", "package.inner.Mine"])
def test_another_projects_file_of_the_same_name_is_another(project: Any, class_path: str) -> None:
    for source in ("one", "two"):
        project.folder = project.folder / source
        project.write("mine.py", EVENT.format(source=source))
        project.write("package/__init__.py", f"# {source}")
        project.write("package/inner.py", EVENT.format(source=source))
        assert source_of(project, class_path) == source


def test_a_module_that_fails_keeps_its_exception_and_is_tried_again(project: Any) -> None:
    project.write("mine.py", "raise LookupError('not yet')")
    with pytest.raises(ConfigError) as caught:
        project.check("events: [mine.py:Mine]")
    assert isinstance(caught.value.__cause__, LookupError)
    project.write("mine.py", EVENT.format(source="better"))
    assert source_of(project, "mine.py:Mine") == "better"
