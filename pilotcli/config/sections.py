"""Reads the tree of a config into `RunConfig`, and gathers all that is wrong on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar

from pilotcli.common.suggestions import did_you_mean, nearest
from pilotcli.config.kinds import INVALID, KINDS, Reading
from pilotcli.config.model import (
    CollectSection,
    CompatSection,
    DatabaseSection,
    EventSpec,
    HandlerSpec,
    ModelSpec,
    RunConfig,
    RunSection,
    SteeringSection,
    StoreSection,
)
from pilotcli.config.overrides import entry_names
from pilotcli.config.tree import Node, Problems, plain
from pilotcli.config.variables import Variables

S = TypeVar("S")
P = TypeVar("P", EventSpec, HandlerSpec)

TOP_KEYS = (
    *("home", "database", "store", "run", "workload", "collect", "models", "events", "steering"),
    *("compat", "handlers"),
)
MODEL_KEYS = ("class", "args", "load", "keep", "trust", "on_regression")
EVENT_KEYS = ("name", "class", "args", "model", "enabled")
HANDLER_KEYS = ("name", "class", "args", "model")


class Reader:
    """Reads one tree. Paths begin at `base`, those of the command line at `cwd`."""

    def __init__(self, problems: Problems, base: Path, cwd: Path) -> None:
        self._problems = problems
        self._base = base
        self._cwd = cwd

    def read(self, root: Node, path: Path | None, variables: Variables) -> RunConfig:
        """The config; defaults stand where something was wrong, which is among the problems."""
        top = self._mapping(root, "the config", TOP_KEYS)
        events, count, timeout = self._events(top.get("events"))
        handlers, handler_timeout = self._handlers(top.get("handlers"))
        self._known_models([*events, *handlers], top.get("models"))
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
            models=self._models(top.get("models")),
            events=tuple(events),
            count=count,
            event_timeout=timeout,
            steering=self._section(top.get("steering"), "steering", SteeringSection),
            compat=self._section(top.get("compat"), "compat", CompatSection),
            handlers=tuple(handlers),
            handler_timeout=handler_timeout,
            secrets=frozenset(variables.secrets),
        )

    def _workload(self, top: dict[str, Node]) -> tuple[str, ...]:
        paths = self._value(top, "workload", "paths")
        if paths is None:
            return ()
        value = top["workload"].value
        nodes = value if isinstance(value, list) else [top["workload"]]
        return tuple(self._near(path, node) for path, node in zip(paths, nodes, strict=True))

    def _near(self, path: Path, node: Node) -> str:
        """A path as a user would write it from the current folder; `-` is standard input."""
        if node.text == "-":
            return "-"
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
        """A section whose keys are the fields of a dataclass, each with a default."""
        declared: dict[str, Field[Any]] = {key.name: key for key in fields(cls)}  # type: ignore[arg-type]
        if node is None or node.value is None:
            return cls()
        keys = self._mapping(node, name, declared)
        values: dict[str, Any] = {}
        for key, field in declared.items():
            given = keys.get(key)
            if given is None or given.value is None:
                continue
            read = KINDS[field.metadata["kind"]][0]
            value = read(given, self._reading(f"{name}.{key}", field.metadata))
            if value is not INVALID:
                values[key] = value
        return cls(**values)

    def _mapping(self, node: Node, name: str, known: Iterable[str]) -> dict[str, Node]:
        """The keys of a mapping; unknown ones become problems."""
        if not isinstance(node.value, dict):
            self._problems.add(f"{name} must be a mapping of keys, not {node.shown_value()}", node)
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
        section = self._section(node, "collect", CollectSection)
        if isinstance(node.value, dict):
            given = {key for key, child in node.value.items() if child.value is not None}
            if "table" not in given and given != {"max_rows"}:
                self._problems.add("collect.table is missing", node)
        return section

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
        what = f"the model {name!r}"
        if not name.strip():
            self._problems.add("a model needs a name", node, at_key=True)
            return None
        keys = self._entry(node, what, MODEL_KEYS)
        class_path = self._class(keys, node, what)
        keep = self._value(keys, "keep", "integer", least=1)
        given = {
            "args": self._args(keys),
            "load": self._load(keys.get("load")),
            "keep": keep,
            "trust": bool(self._value(keys, "trust", "boolean")),
            "on_regression": self._value(
                keys, "on_regression", "choice", choices=("keep", "rollback")
            )
            or "keep",
        }
        if class_path is None:
            return None
        return ModelSpec(
            name=name,
            class_path=class_path,
            mark=node.key_mark or node.mark,
            class_mark=keys["class"].mark,
            arg_marks=_arg_marks(keys),
            **given,
        )

    def _load(self, node: Node | None) -> Any:
        if node is None or node.value is None:
            return "auto"
        value = node.value
        if value == "auto" or isinstance(value, bool) or (type(value) is int and value >= 1):
            return value
        wanted = "auto, true, false or the number of a version"
        self._problems.add(f"load must be {wanted}, not {node.shown_value()}", node)
        return "auto"

    def _events(self, node: Node | None) -> tuple[list[EventSpec], Any, float | None]:
        count = timeout = None
        if node is not None and isinstance(node.value, dict):
            keys = self._mapping(node, "events", ("list", "count", "timeout"))
            choices = ("finished", "successful")
            count = self._value(keys, "count", "choice", choices=choices)
            timeout = self._value(keys, "timeout", "duration")
            node = keys.get("list")
        events = self._plugins(node, "event", EventSpec, EVENT_KEYS)
        return events, count or "finished", timeout

    def _handlers(self, node: Node | None) -> tuple[list[HandlerSpec], float | None]:
        timeout = None
        if node is not None and isinstance(node.value, dict):
            keys = self._mapping(node, "handlers", ("list", "timeout"))
            timeout = self._value(keys, "timeout", "duration")
            node = keys.get("list")
        return self._plugins(node, "handler", HandlerSpec, HANDLER_KEYS), timeout

    def _plugins(
        self, node: Node | None, noun: str, cls: type[P], known: tuple[str, ...]
    ) -> list[P]:
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, list):
            self._problems.add(
                f"{noun}s must be a list of {noun}s, not {node.shown_value()}",
                node,
                hint=f"{noun}s: [{{class: my_{noun}s.py:MyClass}}]",
            )
            return []
        specs: list[P] = []
        taken: set[str] = set()
        names = entry_names(node.value)
        for number, (child, name) in enumerate(zip(node.value, names, strict=True), 1):
            spec = self._plugin(child, f"{noun} {number}", name, cls, known)
            if spec is None:
                continue
            if name in taken:
                named = child.value["name"]
                hint = "Each needs a name of its own; `--events` chooses by it."
                self._problems.add(f"{noun} {number}: the name {name!r} is taken", named, hint=hint)
            taken.add(name)
            specs.append(spec)
        return specs

    def _plugin(
        self, node: Node, what: str, name: str, cls: type[P], known: tuple[str, ...]
    ) -> P | None:
        keys = self._entry(node, what, known)
        self._value(keys, "name", "string")
        if "name" in keys and "," in name:
            self._problems.add(f"{what}: a name has no comma", keys["name"])
        class_path = self._class(keys, node, what)
        given: dict[str, Any] = {
            "args": self._args(keys),
            "model": self._value(keys, "model", "string"),
        }
        if cls is EventSpec:
            enabled = self._value(keys, "enabled", "boolean")
            given["enabled"] = True if enabled is None else enabled
        if class_path is None:
            return None
        return cls(
            name=name,
            class_path=class_path,
            mark=node.mark,
            class_mark=keys["class"].mark,
            model_mark=keys["model"].mark if "model" in keys else None,
            arg_marks=_arg_marks(keys),
            **given,
        )

    def _entry(self, node: Node, what: str, known: tuple[str, ...]) -> dict[str, Node]:
        """A mapping with `class`, or a class path alone."""
        if isinstance(node.value, str):
            return {"class": node}
        return self._mapping(node, what, known)

    def _class(self, keys: dict[str, Node], node: Node, what: str) -> str | None:
        hint = "Write class: package.module.Class or class: path/to/file.py:Class"
        if keys.get("class", Node(None)).value is None:
            misspelled = any(nearest(key, ("class",)) for key in keys)
            if isinstance(node.value, dict) and ("class" in keys or not misspelled):
                self._problems.add(f"{what} has no class", node, hint=hint)
            return None
        text = self._value(keys, "class", "string")
        if text is None:
            return None
        module, colon, name = text.rpartition(":")
        if not colon:
            module, _, name = text.rpartition(".")
        if not module or not name.isidentifier():
            self._problems.add(f"{what}: {text!r} is not a class path", keys["class"], hint=hint)
            return None
        if keys["class"].overridden and (module.endswith(".py") or "/" in module):
            return f"{Path(self._cwd, module)}:{name}"
        return str(text)

    def _args(self, keys: dict[str, Node]) -> dict[str, Any]:
        node = keys.get("args")
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            wanted = "a mapping of argument names to values"
            self._problems.add(f"args must be {wanted}, not {node.shown_value()}", node)
            return {}
        return {name: plain(child) for name, child in node.value.items()}

    def _known_models(self, specs: Iterable[EventSpec | HandlerSpec], models: Node | None) -> None:
        # A model that is wrong itself is there all the same.
        names = list(models.value) if models is not None and isinstance(models.value, dict) else []
        for spec in specs:
            if spec.model is not None and spec.model not in names:
                noun = "event" if isinstance(spec, EventSpec) else "handler"
                self._problems.at(
                    spec.model_mark,
                    f"the {noun} {spec.name!r}: there is no model {spec.model!r}",
                    hint=did_you_mean(spec.model, names, listed="The models are"),
                )


def _arg_marks(keys: dict[str, Node]) -> dict[str, Any]:
    node = keys.get("args")
    if node is None or not isinstance(node.value, dict):
        return {}
    return {
        name: child.key_mark for name, child in node.value.items() if child.key_mark is not None
    }
