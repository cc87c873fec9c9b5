"""The templates of a workload: queries that share a form, and differ in their values only."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pilotcli.common.records import Query
from pilotcli.workload.logs.normal_form import normal_form

_VARIANT = re.compile(r"(?P<template>.*?)(?:[-_./#]?v?\d+|(?<=\d)[a-z])\Z", re.IGNORECASE)
"""A label with the mark of a variant at its end: `hot-2`, `q17_s3`, `17a`."""
_NUMBERED = re.compile(r"(?:q|.*/)\d+\Z", re.DOTALL)
"""A label that pilot has made: the place of the query."""


def templates(queries: Iterable[Query]) -> dict[int, str]:
    """Returns the template of each query, by the query's number.

    Queries are of one template if their texts differ in their values only (`normal_form`), or their
    labels in the mark of a variant at the end only: `17a` and `17b`, `hot-1` and `hot-2`. Labels
    that pilot has made mean nothing.
    """
    groups: dict[str, str] = {}
    found = {}
    for query in queries:
        label = _of_label(query.label)
        form = f"form {normal_form(query.sql)}"
        known = groups.get(form) or (groups.get(label) if label is not None else None)
        template = known or query.label
        groups[form] = template
        if label is not None:
            groups.setdefault(label, template)
        found[query.seq] = template
    return found


def _of_label(label: str) -> str | None:
    """What the labels of a template's variants share; None where the label says nothing."""
    if _NUMBERED.fullmatch(label):
        return None
    variant = _VARIANT.fullmatch(label)
    return f"label {variant['template'] if variant and variant['template'] else label}"
