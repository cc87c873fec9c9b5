"""Reads the tree of a config into `RunConfig`, and gathers all that is wrong on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

from pilotcli.config.kinds import INVALID, KINDS, Reading
from pilotcli.config.model import (
    CollectSection,
    DatabaseSection,
    EventSpec,
    HandlerSpec,
    ModelSpec,
    RunConfig,
    RunSection,
    StoreSection,
)
from pilotcli.config.tree import Node, Problems, plain
from pilotcli.names import did_you_mean

__all__ = ["EVENT_KEYS", "MODEL_KEYS", "TOP_KEYS", "Reader"]

S = TypeVar("S")
P = TypeVar("P", ModelSpec, EventSpec, HandlerSpec)

TOP_KEYS = (
    "home",
    "database",
    "store",
    "run",
    "workload",
    "collect",
    "models",
    "events",
    "handlers",
)
MODEL_KEYS = ("class", "args", "load", "keep")
EVENT_KEYS = ("name", "class", "args", "model", "enabled")
HANDLER_KEYS = ("name", "class", "args", "model")


class Reader:
    """Reads one tree. Paths begin at `base`, those of the command line at `cwd`."""

    def __init__(self, problems: Problems, base: Path, cwd: Path) -> None:
        self._problems = problems
        self._base = base
        self._cwd = cwd

    def read(self, root: Node | None, path: Path | None) -> RunConfig:
        """The config; defaults stand where something was wrong, which is among the problems."""
        top = self._mapping(root, "the config", TOP_KEYS) if root is not None else {}
        models = self._models(top.get("models"))
        events, count = self._events(top.get("events"))
        handlers = self._plugins(top.get("handlers"), "handler", HandlerSpec, HANDLER_KEYS)
        self._known_models([*events, *handlers], models)
        home = self._value(top, "home", "path")
        return RunConfig(
            path=path,
            base=self._base,
            home=home if home is not None else self._cwd / ".pilot",
            database=self._section(top.get("database"), "database", DatabaseSection),
            store=self._section(top.get("store"), "store", StoreSection),
            run=self._section(top.get("run"), "run", RunSection),
            workload=self._workload(top),
            collect=self._collect(top.get("collect")),
            models=models,
            events=tuple(events),
            count=count,
            handlers=tuple(handlers),
        )

    def _workload(self, top: dict[str, Node]) -> tuple[str, ...]:
        paths = self._value(top, "workload", "paths")
        return tuple(self._near(one) for one in paths or ())

    def _near(self, path: Path) -> str:
        """A path as a user would write it from the current folder."""
        try:
            return str(path.relative_to(self._cwd))
        except ValueError:
            return str(path)

    def _value(self, keys: dict[str, Node], name: str, kind: str, **limits: Any) -> Any:
        """The value of one key; None when it is missing, null or wrong."""
        node = keys.get(name)
        if node is None or node.value is None:
            return None
        value = KINDS[kind][0](node, self._reading(name, limits))
        return None if value is INVALID else value

    def _reading(self, name: str, limits: Any) -> Reading:
        return Reading(name, limits, self._problems, self._base, self._cwd)

    def _section(self, node: Node | None, name: str, cls: type[S]) -> S:
        """A section whose keys are the fields of a dataclass."""
        declared: dict[str, Field[Any]] = {one.name: one for one in fields(cls)}  # type: ignore[arg-type]
        if node is None or node.value is None:
            keys: dict[str, Node] = {}
        else:
            keys = self._mapping(node, name, declared)
        values: dict[str, Any] = {}
        for key, field in declared.items():
            given = keys.get(key)
            if given is None or given.value is None:
                if field.default is MISSING and field.default_factory is MISSING:
                    self._problems.add(f"{name}.{key} is missing", node)
                    values[key] = ""
                continue
            kind = field.metadata["kind"]
            value = KINDS[kind][0](given, self._reading(f"{name}.{key}", field.metadata))
            if value is not INVALID:
                values[key] = value
            elif field.default is MISSING and field.default_factory is MISSING:
                values[key] = ""
        return cls(**values)

    def _mapping(self, node: Node, name: str, known: Iterable[str]) -> dict[str, Node]:
        """The keys of a mapping; unknown ones become problems."""
        if not isinstance(node.value, dict):
            kind = "a list" if isinstance(node.value, list) else f"{node.value!r}"
            self._problems.add(f"{name} must be a mapping of keys, not {kind}", node)
            return {}
        for key, child in node.value.items():
            if key not in known:
                hint = did_you_mean(key, known, listed="Its keys are")
                self._problems.add(f"{name} has no key {key!r}", child, hint=hint, at_key=True)
        return node.value

    def _collect(self, node: Node | None) -> CollectSection | None:
        if node is None or node.value is None:
            return None
        if isinstance(node.value, str):
            table = KINDS["string"][0](node, self._reading("collect", {}))
            return None if table is INVALID else CollectSection(table=table)
        return self._section(node, "collect", CollectSection)

    def _models(self, node: Node | None) -> tuple[ModelSpec, ...]:
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, dict):
            self._problems.add(
                "models must be a mapping of names to models",
                node,
                hint="models: {my_model: {class: file.py:MyModel}}",
            )
            return ()
        return tuple(
            spec
            for name, child in node.value.items()
            if (spec := self._model(name, child)) is not None
        )

    def _model(self, name: str, node: Node) -> ModelSpec | None:
        keys = self._entry(node, f"the model {name!r}", MODEL_KEYS)
        class_path = self._class(keys, node, f"the model {name!r}")
        if class_path is None:
            return None
        return ModelSpec(
            name=name,
            class_path=class_path,
            args=self._args(keys),
            load=self._load(keys.get("load")),
            keep=self._value(keys, "keep", "integer", least=1),
            mark=node.key_mark or node.mark,
            class_mark=keys["class"].mark,
            arg_marks=_arg_marks(keys),
        )

    def _load(self, node: Node | None) -> Any:
        if node is None or node.value is None:
            return "auto"
        value = node.value
        if value == "auto" or isinstance(value, bool) or (type(value) is int and value >= 1):
            return value
        self._problems.add("load must be auto, true, false or the number of a version", node)
        return "auto"

    def _events(self, node: Node | None) -> tuple[list[EventSpec], Any]:
        count = None
        if node is not None and isinstance(node.value, dict):
            keys = self._mapping(node, "events", ("list", "count"))
            choices = ("finished", "successful")
            count = self._value(keys, "count", "choice", choices=choices)
            node = keys.get("list")
        return self._plugins(node, "event", EventSpec, EVENT_KEYS), count or "finished"

    def _plugins(
        self, node: Node | None, noun: str, cls: type[P], known: tuple[str, ...]
    ) -> list[P]:
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, list):
            self._problems.add(
                f"{noun}s must be a list of {noun}s", node, hint=f"{noun}s: [my_{noun}s.py:Mine]"
            )
            return []
        specs: list[P] = []
        taken: set[str] = set()
        for number, child in enumerate(node.value, 1):
            spec = self._plugin(child, f"{noun} {number}", cls, known, taken)
            if spec is not None:
                specs.append(spec)
        return specs

    def _plugin(
        self, node: Node, what: str, cls: type[P], known: tuple[str, ...], taken: set[str]
    ) -> P | None:
        keys = self._entry(node, what, known)
        class_path = self._class(keys, node, what)
        if class_path is None:
            return None
        name = self._value(keys, "name", "string")
        if name is not None and name in taken:
            self._problems.add(f"{what}: the name {name!r} is taken", keys["name"])
        if name is None:
            name = _free(class_path.replace(":", ".").rpartition(".")[2], taken)
        taken.add(name)
        given: dict[str, Any] = {
            "name": name,
            "class_path": class_path,
            "args": self._args(keys),
            "model": self._value(keys, "model", "string"),
            "mark": node.mark,
            "class_mark": keys["class"].mark,
            "arg_marks": {**_arg_marks(keys), **_mark_of(keys, "model")},
        }
        if cls is EventSpec:
            enabled = self._value(keys, "enabled", "boolean")
            given["enabled"] = True if enabled is None else enabled
        return cls(**given)

    def _entry(self, node: Node, what: str, known: tuple[str, ...]) -> dict[str, Node]:
        """A mapping with `class`, or a class path alone."""
        if isinstance(node.value, str):
            return {"class": node}
        return self._mapping(node, what, known)

    def _class(self, keys: dict[str, Node], node: Node, what: str) -> str | None:
        if "class" not in keys:
            if isinstance(node.value, dict):
                self._problems.add(
                    f"{what} has no class",
                    node,
                    hint="class: package.module.Class or file.py:Class",
                )
            return None
        text = self._value(keys, "class", "string")
        if text is not None and not ("." in text or ":" in text):
            self._problems.add(
                f"{what}: {text!r} is no path of a class",
                keys["class"],
                hint="Write package.module.Class or path/to/file.py:Class.",
            )
            return None
        return str(text) if text is not None else None

    def _args(self, keys: dict[str, Node]) -> dict[str, Any]:
        node = keys.get("args")
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._problems.add("args must be a mapping of argument names to values", node)
            return {}
        return {name: plain(child) for name, child in node.value.items()}

    def _known_models(
        self, specs: Iterable[EventSpec | HandlerSpec], models: tuple[ModelSpec, ...]
    ) -> None:
        names = [model.name for model in models]
        for spec in specs:
            if spec.model is not None and spec.model not in names:
                self._problems.add(
                    f"{spec.name}: there is no model {spec.model!r}",
                    Node(None, spec.arg_marks.get("model")),
                    hint=did_you_mean(spec.model, names, listed="The models are"),
                )


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _arg_marks(keys: dict[str, Node]) -> dict[str, Any]:
    node = keys.get("args")
    if node is None or not isinstance(node.value, dict):
        return {}
    return {
        name: child.key_mark for name, child in node.value.items() if child.key_mark is not None
    }


def _mark_of(keys: dict[str, Node], name: str) -> dict[str, Any]:
    node = keys.get(name)
    return {name: node.mark} if node is not None and node.mark is not None else {}
