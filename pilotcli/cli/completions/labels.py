"""Completes the labels of queries."""

from __future__ import annotations

import glob
from itertools import islice

from pilotcli.cli.completions.given import Found, Parameters, config_of, journal_of
from pilotcli.common.labels import NEWEST
from pilotcli.workload import open_workload

MOST_LABELS = 500


def labels(parameters: Parameters, incomplete: str) -> Found:
    """The labels of the queries of the run that is named, or else of the workload."""
    found = _labels_of_run(parameters) if "run" in parameters else _labels(parameters)
    texts = {label: text for label, text in found if label.startswith(incomplete)}
    return islice(iter(texts.items()), MOST_LABELS)


def _labels(parameters: Parameters) -> Found:
    given = parameters.get("workload") or ()
    if "-" in given:  # standard input is the terminal
        return
    # Bash hands on the value of an earlier --set as further words.
    paths = [path for path in given if glob.glob(path)] or config_of(parameters).workload  # noqa: PTH207
    if not paths:
        return
    with open_workload(paths) as workload:
        if workload.count() is not None:  # quick to read
            for query in workload:
                yield query.label, query.sql[:200]


def _labels_of_run(parameters: Parameters) -> Found:
    journal = journal_of(parameters)
    if journal is None:
        return
    with journal:
        record = journal.named_run(str(parameters["run"] or NEWEST))
        for query in journal.queries(record.run_id):
            yield query.label, query.sql[:200]
