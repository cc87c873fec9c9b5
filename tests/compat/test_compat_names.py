"""The names that PilotScope's drivers import are there, and a real PilotScope is not shadowed."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from project_folder import Project

from pilotcli.common.errors import CapabilityError

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


@pytest.mark.slow
def test_an_installed_pilotscope_is_taken_first_unless_ours_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pilotscope").mkdir()
    (tmp_path / "pilotscope" / "__init__.py").write_text("real = True")
    code = "import pilotcli.compat as c; c.install({}); import pilotscope; print(c.which())"
    path = str(tmp_path)
    assert python(code.format(""), tmp_path, PYTHONPATH=path) == "installed"
    ours = code.format("before_installed=True")
    assert python(ours, tmp_path, PYTHONPATH=path) == "ours"


@pytest.mark.parametrize(
    ("words", "said"), [((), "usage: "), (("--help",), "usage: "), (("no.py",), "no file no.py")]
)
def test_what_is_no_script_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pilotcli.compat", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


CHECKOUT = """
import sys
sys.path.append("../")
import pilotscope
from pilotscope.PilotEvent import QueryFinishEvent
print(sys.argv[1:], QueryFinishEvent.__module__)
"""
OURS, THEIRS = "pilotcli.compat.pilotscope.PilotEvent", "pilotscope.PilotEvent"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "imported", "said"),
    [
        ((), OURS, "pilot's own (--installed takes the one in {}/pilotscope)"),
        (("--ours",), OURS, "pilot's own (--installed takes the one in {}/pilotscope)"),
        (("--installed",), THEIRS, "the one in {}/pilotscope (--ours takes pilot's own)"),
    ],
)
def test_the_choice_is_made_at_the_import_and_said(
    tmp_path: Path, flags: tuple[str, ...], imported: str, said: str
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pilotscope").mkdir()
    (tmp_path / "pilotscope" / "__init__.py").write_text("")
    (tmp_path / "pilotscope" / "PilotEvent.py").write_text("class QueryFinishEvent: pass")
    (tmp_path / "tests" / "script.py").write_text(CHECKOUT)
    done = subprocess.run(
        [sys.executable, "-m", "pilotcli.compat", *flags, "script.py", "--installed"],
        cwd=tmp_path / "tests",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"['--installed'] {imported}\n"
    folder = (tmp_path / "tests" / "..").as_posix()
    assert done.stderr.strip() in {
        f"pilotscope: {said.format(folder)}",
        f"pilotscope: {said.format(tmp_path)}",
        f"pilotscope: {said.format('..')}",
    }


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--ours", "--installed"])
def test_without_another_pilotscope_it_is_pilots_own(tmp_path: Path, flag: str) -> None:
    (tmp_path / "script.py").write_text("import pilotscope\nprint(pilotscope.__name__)")
    done = subprocess.run(
        [sys.executable, "-m", "pilotcli.compat", flag, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "pilotcli.compat.pilotscope\n"
    assert done.stderr.startswith("pilotscope: pilot's own")


@pytest.mark.slow
def test_a_script_that_asks_for_pilots_own_hears_of_another(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pilotscope").mkdir()
    (tmp_path / "pilotscope" / "__init__.py").write_text("")
    (tmp_path / "pilotscope" / "PilotEvent.py").write_text("class QueryFinishEvent: pass")
    script = tmp_path / "tests" / "script.py"
    script.write_text("import pilotcli.compat.pilotscope\n" + CHECKOUT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=script.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"[] {THEIRS}\n"
    assert "pilotscope, not pilot's own" in done.stderr


@pytest.mark.slow
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


PILOTSCOPE = [
    (module, cls, names.split())
    for line in (Path(__file__).parent / "pilotscope.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
    for place, _, names in [line.rpartition(": ")]
    for module, _, cls in [place.partition(":")]
]
MODULES = {module: names for module, cls, names in PILOTSCOPE if not cls}
CLASSES = [(module, cls, names) for module, cls, names in PILOTSCOPE if cls]


def bare(name: str) -> str:
    return name.partition("(")[0]


def arguments(name: str) -> list[str]:
    """The arguments that a name is listed with, in their order."""
    return list(filter(None, name.partition("(")[2].rstrip(")").split(",")))


def positional(function: Callable[..., object]) -> list[str]:
    """The arguments that can be given without their names, in their order."""
    found = inspect.signature(function).parameters.values()
    names = [one.name for one in found if one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD)]
    return names[1:] if names[:1] == ["self"] else names


def documented() -> dict[tuple[str, str], str]:
    """Module and name of each row of the table in docs/pilotscope.md, and what it says."""
    page = (Path(__file__).parents[2] / "docs" / "pilotscope.md").read_text("utf-8")
    rows, module = {}, ""
    for line in page[page.index("## Names") :].splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[2] in ("same", "better", "refused"):
            module = cells[0] or module
            assert (module, cells[1]) not in rows
            rows[module, cells[1]] = cells[2]
    return rows


def test_all_of_pilotscope_is_there_and_nothing_else() -> None:
    root = Path(__file__).parents[2] / "pilotcli" / "compat" / "pilotscope"
    found = {}
    for path in sorted(root.rglob("*.py")):
        if path.name not in ("__init__.py", "records.py"):  # the latter is no module of its
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            ours = importlib.import_module(f"pilotcli.compat.pilotscope.{module}")
            found[module] = sorted(name for name in ours.__all__ if name != "provided")
    assert found == {module: sorted(map(bare, names)) for module, names in MODULES.items()}


def test_the_table_has_every_name_and_no_other() -> None:
    names = {(module, bare(name)) for module, names in MODULES.items() for name in names}
    members = {(module, f"{cls}.{bare(one)}") for module, cls, listed in CLASSES for one in listed}
    rows = set(documented())
    assert {row for row in rows if "." not in row[1]} == names
    assert {row for row in rows if "." in row[1]} <= members


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, one) for module, names in MODULES.items() for one in names if arguments(one)],
)
def test_functions_take_pilotscopes_arguments(module: str, name: str) -> None:
    found = getattr(importlib.import_module(f"pilotcli.compat.pilotscope.{module}"), bare(name))
    assert positional(found)[: len(arguments(name))] == arguments(name)


@pytest.mark.parametrize(("module", "cls", "names"), CLASSES)
def test_classes_have_pilotscopes_members(module: str, cls: str, names: list[str]) -> None:
    found = getattr(importlib.import_module(f"pilotcli.compat.pilotscope.{module}"), cls)
    set_by_init = set(re.findall(r"self\.(\w+)(?=[^=\n(]*[^=!<>\n(]= )", sources(found)))
    for name in names:
        if hasattr(found, bare(name)):
            if "(" in name:
                taken = positional(getattr(found, bare(name)))
                assert taken[: len(arguments(name))] == arguments(name), name
        else:
            known = set_by_init | set(getattr(found, "__dataclass_fields__", ()))
            assert bare(name) in known, name


REFUSED_MEMBERS = [
    (module, *name.split("."))
    for (module, name), verdict in documented().items()
    if "." in name and verdict == "refused"
]


@pytest.mark.parametrize(("module", "cls", "name"), REFUSED_MEMBERS)
def test_what_is_refused_says_why(module: str, cls: str, name: str) -> None:
    found = getattr(importlib.import_module(f"pilotcli.compat.pilotscope.{module}"), cls)
    made = object.__new__(type(cls, (found,), {"process": None}))
    with pytest.raises(CapabilityError) as refusal:
        member = getattr(made, name)
        parameters = inspect.signature(member).parameters
        member(*[None for one in parameters.values() if one.default is one.empty])
    assert refusal.value.hint


def test_records_are_a_data_frame_as_soon_as_they_are_looked_at() -> None:
    import pandas

    from pilotcli.compat.pilotscope.records import Records
    from pilotcli.databases.protocols import Rows

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
    return "".join(
        inspect.getsource(one) for one in cls.__mro__ if one.__module__.startswith("pilotcli")
    )
