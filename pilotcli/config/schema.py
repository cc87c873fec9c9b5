"""The JSON Schema of a config, made from the dataclasses that a config is read into."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from pilotcli.config import model
from pilotcli.config.kinds import KINDS

__all__ = ["config_schema", "key_docs"]

_CLASS = {"type": "string", "pattern": "[.:]"}
_ARGS = {"type": "object"}


def config_schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12) of a whole config, with each key's description."""
    docs = key_docs()
    plugin = {
        "name": {"type": "string", "description": docs["EventSpec.name"]},
        "class": {**_CLASS, "description": docs["EventSpec.class_path"]},
        "args": {**_ARGS, "description": docs["EventSpec.args"]},
        "model": {"type": "string", "description": docs["EventSpec.model"]},
    }
    enabled = {"type": "boolean", "description": docs["EventSpec.enabled"]}
    events = {"type": "array", "items": _entry({**plugin, "enabled": enabled})}
    count = {"enum": ["finished", "successful"], "description": docs["RunConfig.count"]}
    model_entry = {
        "class": {**_CLASS, "description": docs["ModelSpec.class_path"]},
        "args": {**_ARGS, "description": docs["ModelSpec.args"]},
        "load": {
            "anyOf": [{"const": "auto"}, {"type": "boolean"}, {"type": "integer", "minimum": 1}],
            "description": docs["ModelSpec.load"],
        },
        "keep": {"type": "integer", "minimum": 1, "description": docs["ModelSpec.keep"]},
    }
    table = {"type": "string", "description": docs["CollectSection.table"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config of pilot",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "home": {"type": "string", "description": docs["RunConfig.home"]},
            "database": _section(model.DatabaseSection, docs),
            "store": _section(model.StoreSection, docs),
            "run": _section(model.RunSection, docs),
            "workload": {**KINDS["strings"][1], "description": docs["RunConfig.workload"]},
            "collect": {"anyOf": [table, _section(model.CollectSection, docs)]},
            "models": {"type": "object", "additionalProperties": _entry(model_entry)},
            "events": {
                "anyOf": [
                    events,
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"list": events, "count": count},
                    },
                ]
            },
            "handlers": {"type": "array", "items": _entry(plugin)},
        },
    }


def key_docs() -> dict[str, str]:
    """What each key means: `Class.field` to the text that stands below the field."""
    docs = {}
    for node in ast.parse(inspect.getsource(model)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        docs[node.name] = " ".join((ast.get_docstring(node) or "").split())
        for statement, after in zip(node.body, node.body[1:], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(after, ast.Expr):
                target, text = statement.target, after.value
                if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
                    docs[f"{node.name}.{target.id}"] = " ".join(str(text.value).split())
    return docs


def _entry(properties: dict[str, Any]) -> dict[str, Any]:
    whole = {
        "type": "object",
        "required": ["class"],
        "additionalProperties": False,
        "properties": properties,
    }
    return {"anyOf": [_CLASS, whole]}


def _section(cls: type, docs: dict[str, str]) -> dict[str, Any]:
    properties = {}
    required = []
    for field in fields(cls):
        properties[field.name] = _property(field, docs[f"{cls.__name__}.{field.name}"])
        if field.default is MISSING and field.default_factory is MISSING:
            required.append(field.name)
    return {
        "type": "object",
        "description": docs[cls.__name__],
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


def _property(field: Field[Any], description: str) -> dict[str, Any]:
    limits = field.metadata
    schema = {**KINDS[limits["kind"]][1], "description": description}
    names = {"least": "minimum", "most": "maximum", "choices": "enum"}
    for limit, name in names.items():
        if limit in limits:
            value = limits[limit]
            schema[name] = list(value) if isinstance(value, tuple) else value
    if field.default is None:
        kinds = schema["type"]
        schema["type"] = [*([kinds] if isinstance(kinds, str) else kinds), "null"]
    elif field.default is not MISSING and field.default != ():
        schema["default"] = field.default
    return schema
