"""The JSON Schema takes what the loader takes, but for what `docs/config.md` says it cannot see."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotcli.common.errors import ConfigError
from pilotcli.config import load_config
from pilotcli.config.schema import config_schema

pytestmark = pytest.mark.slow

SCHEMA: dict[str, Any] = dict(config_schema())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

scalars = [
    *(None, True, False, 0, 1, -1, 1.5, 1001),
    *("a", " ", "", "a.b.C", "f.py:C", "30s", "0s", "auto", "never", "finished"),
]
lists = [[], ["x"], [None], [""], [3], ["a.b.C"]]
mappings = [
    *({}, {"a": 1}, {"a": None}, {"a": [1]}, {"a": True}, {"a": {}}),
    *({"m": "a.b.C"}, {"m": None}, {"list": None}, {"list": [], "count": None}),
    *({"table": "x"}, {"table": None}, {"table": 5}, {"table": ""}),
]
anything = st.sampled_from([*scalars, *lists, *mappings])
entry = st.fixed_dictionaries(
    {},
    optional={
        "class": st.sampled_from(["a.b.C", "f.py:C", "d/f.py:C", None, "C", 5]),
        "name": st.sampled_from([None, "x", "", 5, "a,b", True, " "]),
        "args": st.sampled_from([None, {}, {"a": 1}, [], "x"]),
        "model": st.sampled_from([None, "m", "", 7, True]),
        "enabled": st.sampled_from([None, True, "x", 1]),
        "load": st.sampled_from([None, "auto", "x", 0, 3, True]),
        "keep": st.sampled_from([None, 0, 1, "x"]),
        "trust": st.sampled_from([None, True, False, 1, "x"]),
        "other": st.none(),
    },
)
models = {"m": "a.b.C", "7": "a.b.C"}


def _section(name: str) -> st.SearchStrategy[Any]:
    keys = sorted(SCHEMA["properties"][name].get("properties", {}))
    return st.dictionaries(st.sampled_from(keys), anything, max_size=2) if keys else anything


def _one(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return (anything | _section(name)).map(lambda value: {name: value})


configs = st.one_of(
    *(_one(name) for name in SCHEMA["properties"]),
    entry.map(lambda one: {"models": {"m": one}}),
    entry.map(lambda one: {"models": models, "events": [one]}),
    entry.map(lambda one: {"models": models, "handlers": [one]}),
    entry.map(lambda one: {"models": models, "events": {"list": [one], "count": "finished"}}),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pilot-schema-") as name:
        yield Path(name)


@settings(max_examples=1000)
@given(configs)
def test_schema_and_loader_agree(folder: Path, config: dict[str, Any]) -> None:
    (folder / "pilot.yaml").write_text(yaml.safe_dump(config), "utf-8")
    try:
        load_config(cwd=folder, environ={})
    except ConfigError as exc:
        assert not VALIDATOR.is_valid(config), str(exc)
    else:
        VALIDATOR.validate(config)
