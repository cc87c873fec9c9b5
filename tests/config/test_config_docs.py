"""docs/config.md has every key, says of each what the code says, and its examples load."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pilotcli.config import load_config, model
from pilotcli.config.schema import config_schema, key_docs

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "config.md").read_text("utf-8")
SECTIONS = {
    part.split("`")[1]: part for part in re.split(r"^##+ ", TEXT, flags=re.M)[1:] if part[0] == "`"
}
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, flags=re.M | re.S)

SPECS = {
    "models.NAME": model.ModelSpec,
    "events.list": model.EventSpec,
}
DATACLASSES = {
    "database": model.DatabaseSection,
    "store": model.StoreSection,
    "run": model.RunSection,
    "collect": model.CollectSection,
    "steering": model.SteeringSection,
    "compat": model.CompatSection,
}


def _keys(schema: dict[str, Any], path: str) -> set[str]:
    """The paths of all keys of a JSON Schema, in the way the headings name them."""
    found: set[str] = set()
    for one in schema.get("anyOf", []):
        found |= _keys(one, path)
    for name, below in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        if here not in ("events.list", "handlers.list"):
            found.add(here)
        found |= _keys(below, here)
    if isinstance(schema.get("additionalProperties"), dict):
        name = f"{path}.NAME" if path == "models" else None
        found |= _keys(schema["additionalProperties"], name) if name else set()
    if "items" in schema:
        group = path.partition(".")[0]
        below = f"{group}.list" if group in ("events", "handlers") else path
        found |= _keys(schema["items"], below)
    return found


def test_every_key_is_documented_and_nothing_else() -> None:
    keys = _keys(config_schema(), "")
    assert {"home", "run.workers", "models.NAME.load", "events.count", "handlers.list.args"} <= keys
    assert set(SECTIONS) == keys


def _told(key: str) -> str:
    """The code's own words on a key."""
    docs = key_docs()
    above, _, name = key.rpartition(".")
    if not above:
        cls = DATACLASSES.get(key)
        return docs[cls.__name__] if cls is not None else docs[f"RunConfig.{key}"]
    if key == "events.count":
        return docs["RunConfig.count"]
    if key in ("events.timeout", "handlers.timeout"):
        return docs[f"RunConfig.{key.partition('s.')[0]}_timeout"]
    cls = SPECS.get(above) or DATACLASSES[above]
    return docs[f"{cls.__name__}.{'class_path' if name == 'class' else name}"]


@pytest.mark.parametrize("key", sorted(key for key in SECTIONS if "handlers.list" not in key))
def test_the_words_are_those_of_the_code(key: str) -> None:
    assert _told(key) in " ".join(SECTIONS[key].split())


@pytest.mark.parametrize("key", sorted(key for key in SECTIONS if key.startswith("handlers.list")))
def test_a_handler_s_key_is_an_event_s(key: str) -> None:
    assert f"As `{key.replace('handlers', 'events')}`" in SECTIONS[key]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value == ():
        return "none"
    return f"{value:g}" if isinstance(value, (int, float)) else f"`{value}`"


@pytest.mark.parametrize(
    ("section", "field"),
    [(name, one) for name, cls in DATACLASSES.items() for one in fields(cls)],
    ids=lambda one: getattr(one, "name", one),
)
def test_type_limits_and_default_are_those_of_the_code(section: str, field: Any) -> None:
    line = SECTIONS[f"{section}.{field.name}"].split("\n\n")[1]
    limits = field.metadata
    kinds = {
        "string": "text",
        "boolean": "true or false",
        "integer": "whole number",
        "paths": "path or list of paths",
        "texts": "text or list of texts",
        "settings": "mapping",
        "split": "two parts",
        "folds": "parts or `templates`",
    }
    wanted = kinds.get(limits["kind"], limits["kind"])
    if limits["kind"] == "choice":
        *first, last = (f"`{one}`" for one in limits["choices"])
        wanted = f"{', '.join(first)} or {last}"
    if "most" in limits:
        wanted += f" from {limits['least']} to {limits['most']}"
    elif "least" in limits:
        wanted += f" from {limits['least']} on"
    if field.default_factory is not MISSING:
        default = "default empty"
    elif field.default is MISSING:
        default = "required"
    else:
        default = f"default {_shown(field.default)}"
    assert line == f"*{wanted}, {default}*"


@pytest.mark.parametrize("key", sorted(SECTIONS))
def test_each_key_has_an_example_that_uses_it(key: str) -> None:
    if key == "handlers":
        return  # each of its keys has one
    with_keys = {"database", "store", "run"}
    examples = re.findall(r"^```yaml\n(.*?)^```$", SECTIONS[key], flags=re.M | re.S)
    if key in with_keys:
        assert not examples
        return
    *_, name = key.split(".")
    assert any(re.search(rf"\b{name}:", example) for example in examples)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_each_example_loads_and_holds_by_the_schema(number: int, tmp_path: Path) -> None:
    (tmp_path / "pilot.yaml").write_text(EXAMPLES[number], "utf-8")
    config = load_config(cwd=tmp_path, environ={})
    assert config != load_config(cwd=tmp_path.parent, environ={})
    jsonschema.validate(yaml.safe_load(EXAMPLES[number]), config_schema())


def test_the_overrides_shown_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pilot.yaml").write_text(EXAMPLES[0], "utf-8")
    overrides = re.findall(r"--set (?:'([^']+)'|(\S+))", TEXT[TEXT.index("```sh") :])
    assert len(overrides) == 4
    config = load_config(None, [one or other for one, other in overrides], cwd=tmp_path, environ={})
    assert config.run.workers == 4
    assert config.workload == ("a.sql", "b.sql")
    assert config.events[0].args == {"interval_count": 5}
    assert config.models[0].load == 2
