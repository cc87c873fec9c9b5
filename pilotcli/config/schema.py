"""The JSON Schema of a config, made from the dataclasses that a config is read into."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from pilotcli.config import model
from pilotcli.config.kinds import KINDS

_TEXT = KINDS["string"][1]
_CLASS = {"type": "string", "pattern": r"[.:]|\$\{"}
_NAME = {"type": ["string", "number"], "pattern": r"^[^,]*[^,\s][^,]*$"}
_NULL = {"type": "null"}
_BOOLEAN = {"type": "boolean"}
# An editor sees the file before its variables are replaced.
_VARIABLE = {"type": "string", "pattern": r"\$\{"}


def config_schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12) of a whole config, with each key's description.

    It describes what a file may hold by itself; that a model is defined, a class exists and takes
    its arguments, is found by `pilot config check`.
    """
    docs = key_docs()
    plugin = {
        "name": _any(docs["EventSpec.name"], _NAME, _NULL),
        "class": _documented(_CLASS, docs["EventSpec.class_path"]),
        "args": _documented({"type": ["object", "null"]}, docs["EventSpec.args"]),
        "model": _any(docs["EventSpec.model"], _TEXT, _NULL),
    }
    enabled = _any(docs["EventSpec.enabled"], _BOOLEAN, _NULL, _VARIABLE)
    events = {"type": ["array", "null"], "items": _entry({**plugin, "enabled": enabled})}
    counts = {"enum": ["finished", "successful", None]}
    of_all = {
        "list": events,
        "count": _any(docs["RunConfig.count"], counts, _VARIABLE),
        "timeout": _any(docs["RunConfig.event_timeout"], KINDS["duration"][1], _NULL),
    }
    table = {**_TEXT, "type": "string"}
    models = {"type": ["object", "null"], "additionalProperties": _entry(_model(docs))}
    handlers = {"type": ["array", "null"], "items": _entry(plugin)}
    of_handlers = {
        "list": handlers,
        "timeout": _any(docs["RunConfig.handler_timeout"], KINDS["duration"][1], _NULL),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config of pilot",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "home": _any(docs["RunConfig.home"], KINDS["path"][1], _NULL),
            "database": _section(model.DatabaseSection, docs),
            "store": _section(model.StoreSection, docs),
            "run": _section(model.RunSection, docs),
            "workload": _any(docs["RunConfig.workload"], KINDS["paths"][1], _NULL),
            "collect": _any(docs["CollectSection"], table, _collect(docs)),
            "models": _documented(models, docs["RunConfig.models"]),
            "events": _any(docs["RunConfig.events"], events, _mapping(of_all)),
            "steering": _section(model.SteeringSection, docs),
            "compat": _section(model.CompatSection, docs),
            "handlers": _any(docs["RunConfig.handlers"], handlers, _mapping(of_handlers)),
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


def _documented(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, **schema}


def _any(description: str, *alternatives: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": description, "anyOf": list(alternatives), **more}


def _mapping(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def _entry(properties: dict[str, Any]) -> dict[str, Any]:
    """A model, an event or a handler: its class alone, or a mapping with more."""
    return {"anyOf": [_CLASS, _mapping(properties, ("class",))]}


def _model(docs: dict[str, str]) -> dict[str, Any]:
    version = {"type": "integer", "minimum": 1}
    load = ({"enum": ["auto", None]}, _BOOLEAN, version, _VARIABLE)
    reactions = {"enum": ["keep", "rollback", None]}
    return {
        "class": _documented(_CLASS, docs["ModelSpec.class_path"]),
        "args": _documented({"type": ["object", "null"]}, docs["ModelSpec.args"]),
        "load": _any(docs["ModelSpec.load"], *load, default="auto"),
        "keep": _any(docs["ModelSpec.keep"], version, _NULL, _VARIABLE),
        "trust": _any(docs["ModelSpec.trust"], _BOOLEAN, _NULL, _VARIABLE, default=False),
        "on_regression": _any(
            docs["ModelSpec.on_regression"], reactions, _VARIABLE, default="keep"
        ),
    }


def _section(cls: type, docs: dict[str, str]) -> dict[str, Any]:
    """A section: each field of its dataclass is a key."""
    properties = {
        field.name: _property(field, docs[f"{cls.__name__}.{field.name}"]) for field in fields(cls)
    }
    section = {**_mapping(properties), "type": ["object", "null"]}
    return _documented(section, docs[cls.__name__])


def _property(field: Field[Any], description: str) -> dict[str, Any]:
    limits = field.metadata
    schema = dict(KINDS[limits["kind"]][1])
    names = {"least": "minimum", "most": "maximum", "choices": "enum"}
    for limit, name in names.items():
        if limit in limits:
            value = limits[limit]
            schema[name] = list(value) if isinstance(value, tuple) else value
    variable = [_VARIABLE] if limits["kind"] in ("boolean", "integer", "choice") else []
    has_default = field.default is not MISSING and field.default not in (None, ())
    default = {"default": field.default} if has_default else {}
    return _any(description, schema, *variable, _NULL, **default)


def _collect(docs: dict[str, str]) -> dict[str, Any]:
    """`collect`: a table, or the limit of rows alone."""
    some = {"not": _NULL}
    table = {"required": ["table"], "properties": {"table": some}}
    limit = {"required": ["max_rows"], "properties": {"max_rows": some}}
    table_or_limit = [_NULL, table, {**limit, "additionalProperties": _NULL}]
    return {**_section(model.CollectSection, docs), "allOf": [{"anyOf": table_or_limit}]}
