"""The JSON Schema agrees with what the loader takes and refuses."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from pilotcli.config.schema import config_schema

VALIDATOR = jsonschema.Draft202012Validator(config_schema())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run:\nevents:\ndatabase:\nmodels:\ncollect: t",
        "run: {workers: 4, timeout: 30s, limit: null, fail_fast: true, pretraining: never}",
        "run: {workers: '${N:-4}', shuffle: '${S:-true}', timeout: '${T:-30s}'}",
        "run: {pretraining: '${P:-auto}'}",
        "database: {name: 7, settings: {jit: off, work_mem: 1GB, a: 1.5}, setup: [a.sql, b.sql]}",
        "database: {setup: a.sql, connect_timeout: 0.5}",
        "workload: [a, '-']",
        "collect: {table: t, records: true}",
        "models: {a: x.Y, b: {class: 'f.py:M', args: {a: [1]}, load: 3, keep: 2}}",
        "models: {a: {class: x.Y, load: false}}",
        "events: [x.Y, {class: x.Y, name: n, args: {}, enabled: '${E:-true}'}]",
        "models: {m: x.Y}\nevents: {count: successful, list: [{class: x.Y, model: m}]}",
        "handlers: [x.Y, {class: x.Y, name: h}]",
    ],
)
def test_what_loads_is_valid(load: Any, text: str) -> None:
    load(text)
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "runs: {}",
        "run: 3",
        "run: {repat: 3}",
        "run: {repeat: 0}",
        "run: {workers: 1001}",
        "run: {workers: '4'}",
        "run: {shuffle: 1}",
        "run: {pretraining: sometimes}",
        "database: [a]",
        "database: {settings: {a: [1]}}",
        "collect: {}",
        "collect: {table: t, plans: true}",
        "models: [x.Y]",
        "models: {a: {args: {}}}",
        "models: {a: {class: x.Y, load: soon}}",
        "models: {a: {class: x.Y, keep: 0}}",
        "models: {a: nodots}",
        "events: x.Y",
        "events: [{class: x.Y, agrs: {}}]",
        "events: [{class: x.Y, args: [1]}]",
        "events: {count: all, list: []}",
        "handlers: [{class: x.Y, enabled: true}]",
    ],
)
def test_what_is_refused_is_invalid(refused: Any, text: str) -> None:
    refused(text)
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_every_key_has_a_description() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, inner in schema.get("properties", {}).items():
            here = f"{path}.{name}"
            if not inner.get("description") and here not in (".events.list", ".handlers.list"):
                found.append(here)
            found += undescribed(inner, here)
        for one in schema.get("anyOf", []):
            found += undescribed(one, path)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                found += undescribed(schema[key], path)
        return found

    assert undescribed(config_schema(), "") == []
