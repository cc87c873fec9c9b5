"""A config as it is shown and journalled: merged, with secrets masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pilotcli.config.model import EventSpec, HandlerSpec, ModelSpec, RunConfig
from pilotcli.config.scalars import TooLarge, typed
from pilotcli.config.secrets import masked

# Characters that PyYAML writes unchanged and no terminal shows: format characters, which turn the
# writing direction or have no width, and separators of lines.
_UNSEEN = re.compile(
    r"[\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def shown_config(config: RunConfig) -> dict[str, Any]:
    """`config` in the shape of its YAML file, defaults included and secrets masked.

    Written as YAML it loads as the same config, but for what is masked.
    """
    shown: dict[str, Any] = {
        "home": str(config.home),
        "database": _section(config.database),
        "store": _section(config.store),
        "run": _section(config.run),
        "workload": list(config.workload),
        "collect": _section(config.collect) if config.collect is not None else None,
        "models": {spec.name: _model(spec) for spec in config.models},
        "events": {
            "count": config.count,
            "timeout": config.event_timeout,
            "list": [_event(spec) for spec in config.events],
        },
        "steering": _section(config.steering),
        "compat": _section(config.compat),
        "handlers": _handlers(config),
    }
    result: dict[str, Any] = _escaped(masked(shown, secrets=config.secrets))
    return result


def _handlers(config: RunConfig) -> Any:
    listed = [_plugin(spec) for spec in config.handlers]
    if config.handler_timeout is None:
        return listed
    return {"timeout": config.handler_timeout, "list": listed}


def shown_yaml(config: RunConfig) -> str:
    """`shown_config` as YAML that loads again."""
    return yaml_text(shown_config(config))


def yaml_text(shown: Mapping[str, Any]) -> str:
    """What `shown_config` returns, as YAML that loads again."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what PyYAML's types take for a text and `pilotcli.config.scalars` does not."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        node = dumper.represent_str(value)
        if _UNSEEN.search(value):
            node.style = '"'
        elif node.style is None and _is_typed(value):
            node.style = "'"
        return node

    Dumper.add_representer(str, text)
    written = yaml.dump(shown, Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return _UNSEEN.sub(_spelt, str(written)).rstrip()


def _spelt(found: re.Match[str]) -> str:
    """A sign as it is written between double quotes (YAML 1.2, section 5.7)."""
    return f"\\U{ord(found[0]):08x}"


def _is_typed(text: str) -> bool:
    try:
        return not isinstance(typed(text), str)
    except TooLarge:
        return True


def _escaped(value: Any) -> Any:
    """`value` with every `${` in its texts written so that it is no variable."""
    if isinstance(value, dict):
        return {name: _escaped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _section(section: Any) -> dict[str, Any]:
    return {key.name: _plain(getattr(section, key.name)) for key in fields(section)}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return dict(value) if isinstance(value, Mapping) else value


def _model(spec: ModelSpec) -> dict[str, Any]:
    return {
        "class": spec.class_path,
        "args": dict(spec.args),
        "load": spec.load,
        "keep": spec.keep,
        "trust": spec.trust,
        "on_regression": spec.on_regression,
    }


def _plugin(spec: EventSpec | HandlerSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "class": spec.class_path,
        "args": dict(spec.args),
        **({"model": spec.model} if spec.model is not None else {}),
    }


def _event(spec: EventSpec) -> dict[str, Any]:
    return {**_plugin(spec), "enabled": spec.enabled}
