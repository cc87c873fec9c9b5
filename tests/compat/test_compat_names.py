"""The names that PilotScope's drivers import are there, and a real PilotScope is not shadowed."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from project_folder import Project

SURFACE = [
    (module.strip(), names.split())
    for line in (Path(__file__).parent / "surface.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
    for module, _, names in [line.partition(":")]
]


def python(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_name_is_imported_as_drivers_import_it(tmp_path: Path) -> None:
    lines = ["import pilotcli.compat.pilotscope"]
    lines += [f"from pilotscope.{module} import {', '.join(names)}" for module, names in SURFACE]
    lines.append(
        "import pilotscope.PilotEvent as one, pilotcli.compat.pilotscope.PilotEvent as two"
    )
    lines.append("print(one is two, one.__name__)")
    assert python("\n".join(lines), tmp_path) == "True pilotcli.compat.pilotscope.PilotEvent"


@pytest.mark.parametrize(("module", "names"), SURFACE, ids=[module for module, _ in SURFACE])
def test_what_is_named_is_public(module: str, names: list[str]) -> None:

    found = importlib.import_module(f"pilotcli.compat.pilotscope.{module}")
    for name in names:
        assert hasattr(found, name)
        assert name in found.__all__


def test_an_installed_pilotscope_is_taken_first_unless_ours_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pilotscope").mkdir()
    (tmp_path / "pilotscope" / "__init__.py").write_text("real = True")
    code = "import pilotcli.compat as c; c.install({}); import pilotscope; print(c.which())"
    path = str(tmp_path)
    assert python(code.format(""), tmp_path, PYTHONPATH=path) == "installed"
    ours = code.format("before_installed=True")
    assert python(ours, tmp_path, PYTHONPATH=path) == "ours"


def test_a_run_says_which_of_the_two_its_drivers_use(project: Project) -> None:
    project.write("pilotscope/__init__.py", "")
    project.write(
        "pilotscope/PilotEvent.py",
        "from pilotcli import WorkloadBeforeEvent as Own\nclass WorkloadBeforeEvent(Own): pass\n",
    )
    project.write(
        "driver.py",
        """
        from pilotscope.PilotEvent import WorkloadBeforeEvent

        class Before(WorkloadBeforeEvent):
            def process(self, db_controller, data_manager):
                pass
        """,
    )
    project.write("w.sql", "SELECT 1;")
    environ = {**os.environ, "PYTHONPATH": str(project.folder)}
    for choice, said in (("installed", "the installed pilotscope"), ("ours", "pilot's own")):
        project.config(f"compat: {{pilotscope: {choice}}}\nevents: ['driver.py:Before']")
        done = project.command("run", "w.sql", env=environ)
        assert done.returncode == 0, done.stderr
        assert f"drivers use {said}" in done.stdout


def test_without_compat_nothing_is_there(tmp_path: Path) -> None:
    code = "import pilotcli, importlib.util; print(importlib.util.find_spec('pilotscope'))"
    assert python(code, tmp_path) == "None"
    assert python("import pilotcli.compat as c; print(c.which())", tmp_path) == "none"


def test_a_name_that_is_not_there_is_an_ordinary_import_error(tmp_path: Path) -> None:
    code = (
        "import pilotcli.compat.pilotscope\n"
        "try:\n    import pilotscope.Nothing\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    assert python(code, tmp_path) == "No module named 'pilotscope.Nothing'"


def documented() -> list[tuple[str, str]]:
    """Module and name of each row of the table in docs/pilotscope.md."""
    page = (Path(__file__).parents[2] / "docs" / "pilotscope.md").read_text("utf-8")
    rows, module = [], ""
    for line in page[page.index("## Names") :].splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[2] in ("same", "better", "refused"):
            module = cells[0] or module
            rows.append((module, cells[1]))
    return rows


def test_the_table_has_every_public_name_and_no_other() -> None:

    root = Path(__file__).parents[2] / "pilotcli" / "compat" / "pilotscope"
    public = []
    for path in sorted(root.rglob("*.py")):
        if path.name not in ("__init__.py", "records.py"):  # the latter is no module of its
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            found = importlib.import_module(f"pilotcli.compat.pilotscope.{module}")
            public += [(module, name) for name in found.__all__ if name != "provided"]
    assert sorted(documented()) == sorted(public)


def test_records_are_a_data_frame_as_soon_as_they_are_looked_at() -> None:
    import pandas

    from pilotcli.compat.pilotscope.records import Records
    from pilotcli.databases.base import Rows

    def records() -> Records:
        return Records(Rows([(1, "a"), (2, "b")], 2, [("n",), ("t",)]))

    assert isinstance(records(), pandas.DataFrame)
    assert len(records()) == 2
    assert records()["n"].tolist() == [1, 2]
    assert list(records()) == ["n", "t"] and "t" in records()
    assert records().iat[1, 1] == "b"
    assert records().values.tolist() == [[1, "a"], [2, "b"]]
    assert str(records()) == str(records().frame)
    assert (records() == records().frame).all().all()
    assert len(pandas.concat([records(), records()])) == 4
    changed = records()
    changed["m"] = 3
    assert changed["m"].tolist() == [3, 3]
    assert records().merge(records().frame, on="n").shape == (2, 3)


METHODS = [
    (module, cls, *re.fullmatch(r"(\w+)(?:\((.*)\))?", one).groups(default=""))  # type: ignore[union-attr]
    for line in (Path(__file__).parent / "methods.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
    for module, cls, names in [line.split(":")]
    for one in names.split()
]
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize(("module", "cls", "name", "keywords"), METHODS)
def test_methods_are_there_take_their_arguments_and_are_tested(
    module: str, cls: str, name: str, keywords: str
) -> None:
    found = getattr(importlib.import_module(f"pilotcli.compat.pilotscope.{module}"), cls)
    assert re.search(rf"\.{name}\b", TESTS), f"no test uses {cls}.{name}"
    made = found() if cls.endswith("Config") else found
    if not hasattr(made, name):  # an attribute that __init__ sets
        assert re.search(rf"self\.{name}\b", sources(found))
        return
    if keywords:
        parameters = inspect.signature(getattr(made, name)).parameters
        assert set(keywords.split(",")) <= set(parameters)


def sources(cls: type) -> str:
    """The text of a class and its bases."""
    return "".join(inspect.getsource(one) for one in cls.__mro__ if one is not object)
