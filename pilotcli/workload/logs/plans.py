"""The statement in an entry of auto_explain."""

from __future__ import annotations

import html
import json
import re

from pilotcli.workload.logs.parameters import fill

_TEXT = re.compile(
    r"Query Text: (.*?)(?:\nQuery Parameters: (.*?))?\n(?=[^\n]*\(cost=\d)", re.DOTALL
)
_JSON_TEXT = r'("(?:[^"\\]|\\.)*")'
_YAML = re.compile(
    rf"Query Text: {_JSON_TEXT}(?:\nQuery Parameters: {_JSON_TEXT})?.*?\nPlan: *\n", re.DOTALL
)
_XML = re.compile(
    r"\s*<explain[^>]*>\s*<Query-Text>(.*?)</Query-Text>"
    r"(?:\s*<Query-Parameters>(.*?)</Query-Parameters>)?",
    re.DOTALL,
)
_PREPARE = re.compile(r'\s*PREPARE\s+(?:\w+|"[^"]*")\s*(?:\([^()]*\)\s*)?AS\s+(.*)', re.I | re.S)


def planned_text(plan: str) -> tuple[str, str] | None:
    """Returns the text of the query and its parameters, from a plan of any format."""
    if plan.lstrip().startswith("{"):
        try:
            found = json.loads(plan)
            return str(found["Query Text"]), str(found.get("Query Parameters", ""))
        except (ValueError, KeyError, TypeError):
            return None
    if (match := _YAML.match(plan)) is not None:
        try:
            return json.loads(match[1], strict=False), json.loads(match[2] or '""', strict=False)
        except ValueError:
            return None
    if (match := _XML.match(plan)) is not None:
        return html.unescape(match[1]), html.unescape(match[2] or "")
    match = _TEXT.match(plan)
    return None if match is None else (match[1], match[2] or "")


def planned_statement(text: str, parameters: str) -> str | None:
    """Returns the query with its parameters filled in; of PREPARE, the query in it. None where a
    value is missing."""
    prepared = _PREPARE.match(text)
    return fill(text if prepared is None else prepared[1], f"Parameters: {parameters}")
