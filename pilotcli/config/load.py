"""From a YAML file and the command line to a `RunConfig`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pilotcli.common.errors import ConfigError, Problem
from pilotcli.common.redaction import dsn_secrets, keep_secret
from pilotcli.common.suggestions import did_you_mean, nearest
from pilotcli.config.model import EventSpec, HandlerSpec, ModelSpec, RunConfig
from pilotcli.config.overrides import override
from pilotcli.config.secrets import masked, secrets_in
from pilotcli.config.sections import Reader
from pilotcli.config.tree import Node, Problems, parse_yaml
from pilotcli.config.variables import Variables

DEFAULT_NAME = "pilot.yaml"

LARGEST_BYTES = 4_000_000
"""A larger file is something else than a config."""


def load_config(
    path: Path | None = None,
    overrides: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> RunConfig:
    """Read and check a config; no class that it names is imported.

    Without `path` it is `pilot.yaml` of the current folder `cwd`, or, where that is missing,
    nothing but defaults. `overrides` are `key.path=value` with YAML values. `environ` is what
    `${VAR}` reads from (default: `os.environ`). Raises `ConfigError` with every problem there is,
    in the order of the file. The secrets of the config are masked in all that this process shows
    from here on.
    """
    cwd = (cwd or Path.cwd()).absolute()
    variables = Variables(os.environ if environ is None else environ)
    problems = Problems()
    if path is None and os.path.lexists(cwd / DEFAULT_NAME):
        path = Path(DEFAULT_NAME)
    root, base = None, cwd
    if path is not None:
        base = Path(cwd, path).parent
        root = parse_yaml(_text(path, cwd), str(path), problems, variables)
        if root is None and problems.found:
            raise _error(problems, variables)
    top = _top(root, problems)
    if top is None:
        raise _error(problems, variables)
    for text in overrides or ():
        override(top, text, problems, variables)
    full_path = Path(cwd, path) if path is not None else None
    config = Reader(problems, base, cwd).read(top, full_path, variables)
    config = replace(config, secrets=config.secrets | _secrets_of(config))
    if problems.found:
        raise _error(problems, variables)
    keep_secret(config.secrets)
    return config


def _secrets_of(config: RunConfig) -> set[str]:
    """The secrets of a config: passwords in connection strings, and values with secret names."""
    found = dsn_secrets(config.database.dsn) | dsn_secrets(config.store.dsn)
    for settings in (config.database.settings, config.database.session):
        found = found.union(*map(dsn_secrets, settings.values()))
    specs: list[ModelSpec | EventSpec | HandlerSpec]
    specs = [*config.models, *config.events, *config.handlers]
    arguments = [spec.args for spec in specs]
    return found.union(*map(secrets_in, arguments))


def _error(problems: Problems, variables: Variables) -> ConfigError:
    """The error for all problems, in the order of the file and with secrets masked."""

    def mask(text: str | None) -> str | None:
        return text and str(masked(text, secrets=variables.secrets))

    def mask_problem(problem: Problem) -> Problem:
        message = mask(problem.message) or ""
        return replace(problem, message=message, file=mask(problem.file), hint=mask(problem.hint))

    return ConfigError([mask_problem(problem) for problem in sorted(problems.found, key=_place)])


def _place(problem: Problem) -> tuple[bool, int, int]:
    return problem.line is None, problem.line or 0, problem.column or 0


def _top(root: Node | None, problems: Problems) -> Node | None:
    """The mapping at the top of a config, empty for an empty file; None for anything else."""
    if root is None or root.value is None:
        return None if problems.found else Node({})
    if isinstance(root.value, dict):
        return root
    problems.add(
        f"a config is a mapping of keys, not {root.shown_value()}",
        root,
        hint="Begin with a key such as `workload:` or `events:`; docs/config.md has them all.",
    )
    return None


def _text(path: Path, cwd: Path) -> str:
    full = Path(cwd, path)
    try:
        with full.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except IsADirectoryError:
        hint = f"Name the file in it: {path / DEFAULT_NAME}"
        raise ConfigError([Problem("this is a folder, no config", str(path), hint=hint)]) from None
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError([_missing(path, full)]) from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        message = f"the config cannot be read: {reason}"
        raise ConfigError([Problem(message, str(path))]) from None
    if len(data) > LARGEST_BYTES:
        size = f"{LARGEST_BYTES // 1_000_000} MB"
        hint = "Name a workload without -c."
        raise ConfigError([Problem(f"a config has at most {size}", str(path), hint=hint)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError([_not_utf8(exc, path)]) from None


def _not_utf8(exc: UnicodeDecodeError, path: Path) -> Problem:
    before = exc.object[: exc.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    hint = "Save it as UTF-8 in your editor, or convert it with iconv."
    return Problem("the config is not UTF-8 text", str(path), line, column, hint)


def _missing(path: Path, full: Path) -> Problem:
    hint = "`pilot init` writes a config to start from."
    if not full.parent.is_dir():
        folder = path.parent
        with contextlib.suppress(OSError):
            folders = [found.name for found in full.parent.parent.iterdir() if found.is_dir()]
            if similar := nearest(folder.name, folders):
                hint = f"Did you mean {folder.parent / similar / path.name}?"
        return Problem("there is no such folder", str(folder), hint=hint)
    try:
        names = [path.name for path in full.parent.iterdir() if path.suffix in (".yaml", ".yml")]
    except OSError:
        names = []
    if names:
        hint = did_you_mean(full.name, names, listed="That folder has")
    return Problem("there is no such config", str(path), hint=hint)
