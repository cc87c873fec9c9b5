"""From the class paths of a config to models and events, checked before anything runs.

`package.module.Class` is imported, with the current folder and the config's folder importable;
`path/to/file.py:Class` is loaded from that file. Constructor arguments are checked against the
class's signature, so that a wrong one is a problem with a line in the config.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotcli.config import PilotConfig, RunConfig
from pilotcli.config.model import EventSpec, HandlerSpec, Mark, ModelSpec
from pilotcli.errors import ConfigError, PilotError, PluginError, Problem
from pilotcli.event_runner import kind_of
from pilotcli.events import Event
from pilotcli.model import PilotModel
from pilotcli.names import did_you_mean

__all__ = ["BuiltEvent", "Plugins", "check_plugins"]

MODEL_PARAMETERS = ("pilot_model", "bind_pilot_model", "model")
"""The parameters that take the config's `model:`, the first that a class has."""

Spec = ModelSpec | EventSpec | HandlerSpec


@dataclass(frozen=True, slots=True)
class BuiltEvent:
    """An event and the entry of the config that it was built from."""

    spec: EventSpec
    event: Event


@dataclass(frozen=True, slots=True)
class Plugins:
    """The classes of a config, each found and known to take its arguments."""

    models: Mapping[str, tuple[ModelSpec, type[PilotModel]]]
    events: Sequence[tuple[EventSpec, type[Event]]]

    def build_models(self) -> dict[str, PilotModel]:
        """A new model for each entry of `models:`, by its key. Raises `PluginError`."""
        built = {}
        for name, (spec, cls) in self.models.items():
            arguments = {"model_name": name, **spec.args}
            if not _takes(cls, "model_name"):
                arguments = dict(spec.args)
            built[name] = _built(f"the model {name!r}", cls, arguments, spec.mark)
        return built

    def build_events(
        self, config: PilotConfig, models: Mapping[str, PilotModel]
    ) -> tuple[BuiltEvent, ...]:
        """A new event for each enabled entry of `events:`, in its order. Raises `PluginError`."""
        built = []
        for spec, cls in self.events:
            arguments = dict(spec.args)
            config_parameter = _config_parameter(cls)
            if config_parameter is not None:
                arguments.setdefault(config_parameter, config)
            model_parameter = _model_parameter(cls)
            if spec.model is not None and model_parameter is not None:
                arguments[model_parameter] = models[spec.model]
            event = _built(f"the event {spec.name!r}", cls, arguments, spec.mark)
            built.append(BuiltEvent(spec, event))
        return tuple(built)


def check_plugins(config: RunConfig) -> Plugins:
    """Find every class of `config` and check its arguments; raises `ConfigError` with all that is
    wrong."""
    problems: list[Problem] = []
    models: dict[str, tuple[ModelSpec, type[PilotModel]]] = {}
    events: list[tuple[EventSpec, type[Event]]] = []
    with _importable(config.base, Path.cwd()):
        for model in config.models:
            cls = _checked(model, PilotModel, "model", config.base, problems)
            if cls is not None:
                models[model.name] = (model, cls)
        for event in config.events:
            if not event.enabled:
                continue
            cls = _checked(event, Event, "event", config.base, problems)
            if cls is not None:
                events.append((event, cls))
    if problems:
        raise ConfigError(problems)
    return Plugins(models, events)


class _importable:
    """Makes folders importable for as long as it is entered, behind what is importable already.

    They come last, so that a file of the user's named like a module of Python's own or of an
    installed package does not take its place.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = [str(folder) for folder in folders]

    def __enter__(self) -> None:
        for folder in self._folders:
            if folder not in sys.path:
                sys.path.append(folder)
        importlib.invalidate_caches()

    def __exit__(self, *exc: object) -> None:
        """Leave them: a driver may import more of its folder while it runs."""


def _checked(
    spec: Spec, base: type[Any], noun: str, folder: Path, problems: list[Problem]
) -> type[Any] | None:
    """The class of `spec`, or None with what is wrong added to `problems`."""
    name = f"the {noun} {spec.name!r}"
    try:
        cls = _load(spec.class_path, folder)
        _check_kind(cls, base, noun)
    except PilotError as exc:
        problems.append(_problem(f"{name}: {exc.message}", spec.class_mark, exc.hint))
        return None
    found = list(_argument_problems(spec, cls))
    problems += [
        _problem(f"{name}: {message}", mark or spec.class_mark, hint)
        for message, mark, hint in found
    ]
    return None if found else cls


def _load(class_path: str, folder: Path) -> Any:
    """What `class_path` names. Raises `PluginError`."""
    module_path, colon, name = class_path.rpartition(":")
    if not colon:
        module_path, _, name = class_path.rpartition(".")
    if not module_path or not name.isidentifier():
        raise PluginError(
            f"{class_path!r} is no path of a class",
            hint="Write package.module.Class or path/to/file.py:Class.",
        )
    is_file = module_path.endswith(".py") or "/" in module_path
    module = _file_module(Path(folder, module_path)) if is_file else _module(module_path)
    try:
        return getattr(module, name)
    except AttributeError:
        names = [one for one, value in vars(module).items() if isinstance(value, type)]
        raise PluginError(
            f"{module_path} has no class {name!r}",
            hint=did_you_mean(name, names, listed="It has"),
        ) from None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise PluginError(
                f"there is no module {exc.name!r}",
                hint="Modules are looked for among the installed packages, in the current folder "
                "and in the config's. A file is named as path/to/file.py:Class.",
            ) from None
        raise _import_failure(name, exc) from exc
    except (Exception, SystemExit) as exc:
        raise _import_failure(name, exc) from exc


def _file_module(path: Path) -> Any:
    path = path.expanduser().resolve()
    if not path.is_file():
        siblings = [one.name for one in path.parent.glob("*.py")]
        raise PluginError(
            f"there is no file {path}",
            hint=did_you_mean(path.name, siblings, listed="That folder has"),
        )
    # One name for one file, so that what it defines is the same class however often it is named,
    # and can be pickled.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"pilot_file_{path.stem}_{digest}"
    state = path.stat()
    stamp = (state.st_mtime_ns, state.st_size)
    known = sys.modules.get(name)
    if known is not None and known.__dict__.get("__pilot_stamp__") == stamp:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file", hint="Its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__pilot_stamp__"] = stamp
    sys.modules[name] = module
    with _importable(path.parent):
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as exc:
            del sys.modules[name]
            raise _import_failure(str(path), exc) from exc
    return module


def _import_failure(what: str, exc: BaseException) -> PluginError:
    hint = None
    if isinstance(exc, ModuleNotFoundError):
        hint = f"Install {exc.name!r} into the environment that pilot runs in ({sys.prefix})."
    return PluginError(f"{what} cannot be imported: {_told(exc)}", hint=hint)


def _check_kind(cls: Any, base: type[Any], noun: str) -> None:
    if not isinstance(cls, type):
        raise PluginError(f"{cls!r} is no class", hint=f"Name a class that is a {noun}.")
    if not issubclass(cls, base):
        raise PluginError(
            f"{cls.__name__} is no {noun}",
            hint="An event derives from QueryFinishEvent, WorkloadBeforeEvent, "
            "PeriodicModelUpdateEvent or PretrainingModelEvent."
            if base is Event
            else "A model derives from CheckpointedModel or PilotModel.",
        )
    if base is Event:
        kind_of(cls)
    if inspect.isabstract(cls):
        missing = sorted(getattr(cls, "__abstractmethods__", ()))
        raise PluginError(
            f"{cls.__name__} lacks the method {' and '.join(missing)}",
            hint="Name a subclass that has it." if base.__module__ == cls.__module__ else None,
        )


def _argument_problems(spec: Spec, cls: type[Any]) -> list[tuple[str, Mark | None, str | None]]:
    """What is wrong with the arguments of `spec`: message, place and hint."""
    parameters = _parameters(cls)
    if parameters is None:
        return []
    found: list[tuple[str, Mark | None, str | None]] = []
    injected: set[str | None] = set()
    if isinstance(spec, ModelSpec):
        injected = {"model_name"}
    else:
        injected = {_config_parameter(cls)}
        model_parameter = _model_parameter(cls)
        if spec.model is not None and model_parameter is None:
            text = f"{cls.__name__} takes no model"
            hint = "Take `model:` out, or give its constructor a parameter pilot_model."
            found.append((text, spec.model_mark, hint))
        if spec.model is not None:
            injected.add(model_parameter)
        elif model_parameter is not None and _required(parameters.get(model_parameter)):
            if model_parameter not in spec.args:
                text = f"{cls.__name__} needs a model"
                hint = "Name one of the `models:` section: model: my_model"
                found.append((text, spec.mark, hint))
            injected.add(model_parameter)
    names = [
        name
        for name, one in parameters.items()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for name in spec.args:
        if name not in names and not takes_any:
            settable = [one for one in names if one not in injected]
            hint = did_you_mean(name, settable, listed="It takes")
            text = f"{cls.__name__} takes no argument {name!r}"
            found.append((text, spec.arg_marks.get(name), hint))
    for name in names:
        if name not in spec.args and name not in injected and _required(parameters[name]):
            hint = f"Give it under args: {{{name}: ...}}"
            found.append((f"{cls.__name__} needs the argument {name!r}", spec.mark, hint))
    return found


def _parameters(cls: type[Any]) -> dict[str, inspect.Parameter] | None:
    """The parameters of a class's constructor without `self`; None when they cannot be known."""
    try:
        return dict(inspect.signature(cls).parameters)
    except (ValueError, TypeError):
        return None


def _takes(cls: type[Any], name: str) -> bool:
    parameters = _parameters(cls)
    if parameters is None:
        return True
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return name in parameters or anything


def _config_parameter(cls: type[Any]) -> str | None:
    """The parameter that takes the PilotConfig: `config`, or else the first without a default."""
    parameters = _parameters(cls) or {}
    if "config" in parameters:
        return "config"
    first = next(iter(parameters.values()), None)
    if first is None or not _required(first) or first.name in MODEL_PARAMETERS:
        return None
    return first.name


def _model_parameter(cls: type[Any]) -> str | None:
    parameters = _parameters(cls) or {}
    known = next((name for name in MODEL_PARAMETERS if name in parameters), None)
    if known is None and any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return "pilot_model" if hasattr(cls, "custom_model_update") else "bind_pilot_model"
    return known


def _required(parameter: inspect.Parameter | None) -> bool:
    if parameter is None or parameter.kind in (
        inspect.Parameter.VAR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    ):
        return False
    return parameter.default is inspect.Parameter.empty


def _built(
    what: str, cls: Callable[..., Any], arguments: Mapping[str, Any], mark: Mark | None
) -> Any:
    try:
        return cls(**arguments)
    except PilotError as exc:
        text = str(_problem(f"{what}: {exc.message}", mark, None))
        raise PluginError(text, hint=exc.hint) from exc
    except (Exception, SystemExit) as exc:
        text = str(_problem(f"{what} cannot be built: {_told(exc)}", mark, None))
        raise PluginError(text, hint="--debug shows the traceback.") from exc


def _told(exc: BaseException) -> str:
    """The exception in one line, with the place in the user's file where it was raised."""
    text = " ".join(str(exc).split())
    line = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    if isinstance(exc, SyntaxError):
        return f"{type(exc).__name__}: {exc.msg} ({exc.filename}:{exc.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    return f"{line} ({frames[-1].filename}:{frames[-1].lineno})" if frames else line


def _problem(message: str, mark: Mark | None, hint: str | None) -> Problem:
    if mark is None:
        return Problem(message, hint=hint)
    return Problem(message, mark.file, mark.line, mark.column, hint)
