"""Where classes are found, and what is said where they are not."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PYTHON_SHADOWS = ("queue", "json", "typing", "dataclasses", "inspect")
OTHER_SHADOWS = ("yaml", "typer", "rich", "pandas")


def test_a_file_is_relative_to_the_config(user: Any) -> None:
    user.classes("", "sub/dir/file.py")
    built = user.build("events: ['sub/dir/file.py:Count']")
    assert type(built["Count"]).__name__ == "Count"


def test_a_file_may_be_named_absolutely_and_from_home(
    user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.classes("")
    monkeypatch.setenv("HOME", str(user.path))
    text = f"events: ['{user.path}/mine.py:Count', '~/mine.py:Count', 'mine.py:Count']"
    events = [cls for _, cls in user.check(text).events]
    assert len(set(events)) == 1


def test_a_file_imports_the_ones_beside_it(user: Any) -> None:
    user.write("drivers/helper_of_mine.py", "INTERVAL = 7\n")
    user.classes(
        "import helper_of_mine\n"
        "class Seven(Count):\n"
        "    def __init__(self, config):\n"
        "        super().__init__(config, helper_of_mine.INTERVAL)\n",
        "drivers/seven.py",
    )
    assert user.build("events: ['drivers/seven.py:Seven']")["Seven"].interval_count == 7


def test_a_file_named_twice_is_one_module(user: Any) -> None:
    user.classes("")
    plugins = user.check("events: ['mine.py:Count', './mine.py:Count', 'sub/../mine.py:Count']")
    assert len({cls for _, cls in plugins.events}) == 1


def test_two_files_of_one_name_are_two_modules(user: Any) -> None:
    user.classes("", "a/mine.py")
    user.classes("", "b/mine.py")
    plugins = user.check("events: ['a/mine.py:Count', 'b/mine.py:Count']")
    assert len({cls for _, cls in plugins.events}) == 2


def test_an_instance_can_be_pickled(user: Any) -> None:
    user.classes("")
    model = user.build("models: {m: 'mine.py:Model'}")["m"]
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model)
    assert again.model_name == "m"


def test_a_pickle_outlives_the_process_and_a_move_of_the_folder(user: Any) -> None:
    user.classes("", "lib/mine.py")
    user.write("pilot.yaml", "models: {m: 'lib/mine.py:Model'}")
    program = (
        "import pickle, sys; from pathlib import Path\n"
        "from pilotcli.config import load_config\n"
        "from pilotcli.plugins import check_plugins\n"
        "plugins = check_plugins(load_config())\n"
        "file = Path('model.pickle')\n"
        "if file.exists(): print(pickle.loads(file.read_bytes()).model_name)\n"
        "else: file.write_bytes(pickle.dumps(plugins.build_models()['m']))\n"
    )

    def run(folder: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(user.path) == ""
    moved = user.path.parent / "moved"
    shutil.copytree(user.path, moved)
    assert run(moved) == "m\n"


def test_a_changed_file_is_loaded_anew(user: Any) -> None:
    for dotted in ("mine.py:Count", "mine.Count"):
        user.classes("VERSION = 1\n")
        [(_, old)] = user.check(f"events: ['{dotted}']").events
        user.classes("VERSION = 2  # and more\n")
        [(_, new)] = user.check(f"events: ['{dotted}']").events
        assert sys.modules[old.__module__].VERSION == 2
        assert new is not old


def test_a_module_is_found_beside_the_config_and_in_the_current_folder(user: Any) -> None:
    user.classes("", "my_events.py")
    user.classes("class There(Count): pass\n", "etc/their_events.py")
    user.classes("", "package_of_mine/__init__.py")
    user.classes("class Deep(Count): pass\n", "package_of_mine/inner.py")
    user.write(
        "etc/run.yaml",
        "events: [my_events.Count, their_events.There, package_of_mine.inner.Deep]",
    )
    from pilotcli.config import load_config
    from pilotcli.plugins import check_plugins

    plugins = check_plugins(load_config(Path("etc/run.yaml")))
    files = [sys.modules[cls.__module__].__file__ for _, cls in plugins.events]
    assert [Path(str(file)).relative_to(user.path).as_posix() for file in files] == [
        "my_events.py",
        "etc/their_events.py",
        "package_of_mine/inner.py",
    ]


def test_the_user_s_own_module_is_meant_before_an_installed_one(user: Any) -> None:
    """`events.py` is a name that many packages have."""
    user.write("site/events_of_all.py", "class Count: pass\n")
    sys.path.insert(0, str(user.path / "site"))
    user.classes("", "events_of_all.py")
    assert "Count" in user.build("events: [events_of_all.Count]")


@pytest.mark.parametrize("name", [*PYTHON_SHADOWS, *OTHER_SHADOWS])
def test_a_file_named_like_another_module_breaks_nothing(user: Any, name: str) -> None:
    user.classes("import json\nassert json.dumps\n", f"{name}.py")
    assert "Count" in user.build(f"events: ['{name}.py:Count']")
    if name in PYTHON_SHADOWS:
        [problem] = user.refused(f"events: [{name}.Count]")
        assert f"pilot.yaml:1:10: the event 'Count': {name} has no class 'Count'" in problem
        assert f"For your own file write {name}.py:Count." in problem


def test_such_files_do_not_break_the_command(user: Any) -> None:
    for name in (*PYTHON_SHADOWS, *OTHER_SHADOWS):
        user.write(f"{name}.py", "raise RuntimeError('imported by mistake')\n")
    user.classes("")
    user.write("pilot.yaml", "events: ['mine.py:Count']")
    pilot = Path(sys.executable).parent / "pilot"
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [pilot, "events", "list"],
        cwd=user.path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Count" in done.stdout


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("mine.py:Cuont", "mine.py has no class 'Cuont'", "Did you mean 'Count'?"),
        ("mien.py:Count", "there is no file {folder}/mien.py", "Did you mean 'mine.py'?"),
        ("no/where.py:Count", "there is no file {folder}/no/where.py", "That folder has: none."),
        ("nowhere.Count", "there is no module 'nowhere'", "config's folder"),
        ("mine.inner.Count", "there is no module 'mine.inner'", "config's folder"),
        ("os.path.nothing", "os.path has no class 'nothing'", "It has: "),
        ("mine.py:helper", "mine.py:helper is a function, not a class", "Name "),
        ("mine.py:number", "mine.py:number is a int, not a class", "Name "),
        ("mine.py:Model", "Model is not an event", "An event derives from "),
        ("collections.OrderedDict", "OrderedDict is not an event", "An event derives from"),
        ("pilotcli.events.base.Event", "Event is not an event", "An event derives from"),
        (
            "pilotcli.QueryFinishEvent",
            "QueryFinishEvent is abstract: it lacks the method process",
            "Implement the method, or name a subclass that does.",
        ),
        (
            "mine.py:Half",
            "Half is abstract: it lacks the methods custom_model_training, "
            "iterative_data_collection",
            "Implement the methods",
        ),
        ("folder.d:Count", "there is no module 'folder'", "config's folder"),
        ("./mine.txt:Count", "{folder}/mine.txt is not a Python file", ".py"),
    ],
)
def test_what_is_no_event(user: Any, path: str, message: str, hint: str) -> None:
    user.classes(
        "def helper(): pass\nnumber = 1\nclass Half(PretrainingModelEvent): pass\n",
    )
    user.write("mine.txt", "")
    (user.path / "no").mkdir()
    [problem] = user.refused(f"events: ['{path}']")
    first, _, below = problem.partition("\n    ")
    message = message.format(folder=user.path)
    assert first.startswith("pilot.yaml:1:10: the event ")
    assert first.endswith(f": {message}")
    assert hint in below


def test_what_is_no_model(user: Any) -> None:
    user.classes("class Bare(CheckpointedModel): pass\n")
    problems = user.refused("""\
models:
  a: mine.py:Count
  b: mine.py:Bare
  c: {class: mine.py:Modell}
""")
    assert problems == [
        "pilot.yaml:2:6: the model 'a': Count is not a model\n"
        "    A model derives from CheckpointedModel or PilotModel.",
        "pilot.yaml:3:6: the model 'b': Bare is abstract: it lacks the methods dump, restore\n"
        "    Implement the methods, or name a subclass that does.",
        "pilot.yaml:4:14: the model 'c': mine.py has no class 'Modell'\n    Did you mean 'Model'?",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def broken(:\n", "SyntaxError: invalid syntax ({folder}/bad.py:20)"),
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero ({folder}/bad.py:20)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 ({folder}/bad.py:21)"),
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("from json import nothing\n", "ImportError: cannot import name 'nothing'"),
        ("import helper_that_fails\n", "RuntimeError: two lines ({folder}/helper_that_fails.py:2)"),
        ("raise KeyboardInterruptLike\n", "NameError: "),
        ("import json\njson.loads('{')\n", "({folder}/bad.py:21)"),
    ],
)
@pytest.mark.parametrize("path", ["bad.py:Count", "bad.Count"])
def test_a_file_that_cannot_be_imported(user: Any, path: str, text: str, why: str) -> None:
    user.write("helper_that_fails.py", "\nraise RuntimeError('two\\nlines')\n")
    user.classes(text, "bad.py")
    for _ in range(2):  # a failed import leaves nothing behind that would pass the second time
        [problem] = user.refused(f"events: ['{path}']")
        assert problem.startswith("pilot.yaml:1:10: the event 'Count': ")
        assert " cannot be imported: " in problem
        assert why.format(folder=user.path) in problem
    if "not_there_at_all" in text:
        assert "Install 'not_there_at_all' into the environment that pilot runs in" in problem


def test_source_that_is_no_text(user: Any) -> None:
    for data in (b"\x00", b"x = '\xff'\n", b"\xff\xfe"):
        (user.path / "bad.py").write_bytes(data)
        [problem] = user.refused("events: ['bad.py:Count']")
        assert "bad.py cannot be imported: " in problem
        assert "None" not in problem


def test_ctrl_c_during_an_import_is_one(user: Any) -> None:
    user.classes("raise KeyboardInterrupt\n", "stop.py")
    with pytest.raises(KeyboardInterrupt):
        user.check("events: ['stop.py:Count']")


def test_an_event_that_is_not_enabled_is_not_imported(user: Any) -> None:
    user.classes("raise RuntimeError\n", "bad.py")
    assert user.build("events: [{class: 'bad.py:Count', enabled: false}]") == {}


def test_all_problems_at_once_in_the_order_of_the_file(user: Any) -> None:
    user.classes("class Takes(Count):\n    def __init__(self, config, depth): pass\n")
    problems = user.refused("""\
events:
  - mine.py:Nothing
  - class: mine.py:Takes
    args: {dept: 3}
models:
  m: mine.py:Takes
""")
    assert [problem.partition("\n")[0] for problem in problems] == [
        "pilot.yaml:2:5: the event 'Nothing': mine.py has no class 'Nothing'",
        "pilot.yaml:3:5: the event 'Takes': Takes needs the argument 'depth'",
        "pilot.yaml:4:12: the event 'Takes': Takes takes no argument 'dept'",
        "pilot.yaml:6:6: the model 'm': Takes is not a model",
    ]


def test_a_class_from_the_command_line_is_told_by_its_override(user: Any) -> None:
    user.classes("")
    [problem] = user.refused("", "events=[mine.py:Nothing]")
    assert problem.startswith("--set events=[mine.py:Nothing]: the event 'Nothing': ")
