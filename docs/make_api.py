"""Makes `docs/api.md`, the reference of what `pilotcli` exports, from signatures and docstrings.

python docs/make_api.py
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pilotcli
from pilotcli import BasePushHandler, Event, PilotError, PilotModel

HEAD = """\
# The Python API

Everything here is imported from `pilotcli`: `from pilotcli import QueryFinishEvent`. \
[events.md](events.md) and [steering.md](steering.md) explain how these classes are used. \
`python docs/make_api.py` makes this page from the docstrings.
"""
INTERNAL = {
    "PretrainingModelEvent": "training_argument train",
    "QueryPushHandler": "put",
    "DataManager": "connect try_writing mark append keep_rows keep append_kept begin_firing flush "
    "flush_collected collect",
    "PilotDataInteractor": "catalog",
    "PilotScheduler": "add_observer collect prepare open_session run before_workload "
    "push_for_workload restore fire_due warm walk run_in cancel",
    "PostgreSQLConfig": "from_run_config",
}
"""Methods that pilot itself calls."""


def page() -> str:
    """The text of the page."""
    names = [name for name in pilotcli.__all__ if not name.startswith("__")]
    classes = {name: getattr(pilotcli, name) for name in names}
    groups = {
        "Events": [name for name in names if issubclass(classes[name], Event)],
        "Models": [name for name in names if issubclass(classes[name], PilotModel)],
        "Handlers": [name for name in names if issubclass(classes[name], BasePushHandler)],
    }
    errors = [name for name in names if issubclass(classes[name], PilotError)]
    known = {name for group in groups.values() for name in group} | {*errors}
    groups["Everything else"] = [name for name in names if name not in known]
    parts = [HEAD]
    for title, group in groups.items():
        parts.append(f"## {title}\n")
        parts += ["\n".join(_class(name, classes[name])) for name in group]
    parts.append("## Errors\n")
    rows = [
        f"| `{name}` | `{classes[name].__mro__[1].__name__}` | {classes[name].exit_code} | "
        f"{_summary(classes[name])} |"
        for name in errors
    ]
    parts.append(
        "\n".join(["| error | derives from | exit code | |", "| --- | --- | --- | --- |", *rows])
    )
    return "\n".join(parts) + "\n"


def _class(name: str, cls: type) -> Iterator[str]:
    if issubclass(cls, enum.Enum):
        members = ", ".join(f"`{member.name}`" for member in cls)
        yield f"### `{name}`\n\n{_summary(cls)} Members: {members}.\n"
        return
    yield f"### `{name}{_signature(cls)}`\n\n{_summary(cls)}\n"
    yield from _lists(cls)
    rows = [f"| `{shown}` | {_summary(member)} |" for shown, member in _members(cls)]
    if rows:
        yield "\n".join(["| | |", "| --- | --- |", *rows, ""])


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of the class and of its bases that have no part here."""
    exported = {getattr(pilotcli, name) for name in pilotcli.__all__ if name[0] != "_"} - {cls}
    own = [one for one in cls.__mro__ if one.__module__.startswith("pilotcli")]
    seen = {*INTERNAL.get(cls.__name__, "").split()}
    for base in own:
        if base in exported:
            break
        for name, member in vars(base).items():
            if name.startswith("_") or name in seen or not getattr(member, "__doc__", None):
                continue  # without a docstring, a base has it
            seen.add(name)
            if isinstance(member, property):
                yield name, member.fget
            elif inspect.isfunction(member):
                yield f"{name}{_signature(member)}", member
            elif isinstance(member, (classmethod, staticmethod)):
                yield f"{name}{_signature(getattr(cls, name))}", member.__func__


def _signature(what: Any) -> str:
    """The parameters with their defaults, without annotations and `self`."""
    bare = []
    for one in inspect.signature(what).parameters.values():
        if one.name == "self" or one.name.startswith("_"):
            continue
        default = one.default
        if isinstance(default, enum.Enum):
            default = inspect.Parameter.empty
        if default is not inspect.Parameter.empty and "<" in repr(default):
            default = None
        bare.append(one.replace(annotation=inspect.Parameter.empty, default=default))
    return str(inspect.Signature(bare))


def _lists(cls: type) -> Iterator[str]:
    """The lists of the class's own docstring: what its fields and arguments mean."""
    for paragraph in inspect.cleandoc(cls.__doc__ or "").split("\n\n"):
        if paragraph.startswith("- "):
            yield f"{paragraph}\n"


def _summary(what: Any) -> str:
    """The first paragraph of the docstring, as a table can hold it."""
    text = (inspect.getdoc(what) or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("api.md").write_text(page(), "utf-8")
