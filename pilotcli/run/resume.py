"""Resuming a run: which one, whether its config and workload are unchanged, and from where."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pilotcli.common.errors import UsageError
from pilotcli.common.labels import NEWEST, RunLabels, is_run_name
from pilotcli.common.quantities import count, plural
from pilotcli.common.records import Query
from pilotcli.common.signals import EventTriggered
from pilotcli.config import RunConfig, load_config, shown_config
from pilotcli.events.runner import PastFirings
from pilotcli.run.request import RunRequest, StoredRequest
from pilotcli.storage.journal import FiringRecord, Journal, PastRun, RunKind, RunRecord
from pilotcli.storage.journal.rows import text_in_journal

_ROUNDS = ("repeat", "warmup")


def resume_request(
    resume: str,
    kind: RunKind,
    config: Path | None,
    overrides: Sequence[str],
    workload: tuple[str, ...] = (),
    events: tuple[str, ...] | None = None,
) -> RunRequest:
    """The request of the run that `--resume` names, with the arguments of this command added.

    Raises `UsageError`, `ConfigError` and `StorageError`.
    """
    with _journal(load_config(config, overrides)) as journal:
        record = find_run(journal, resume, kind)
        stored = _stored(journal.request(record.run_id)[0], record)
        baselines = journal.baselines_of(record.run_id)
    given = {text.partition("=")[0].strip() for text in overrides}
    missing = [key for key in stored.withheld if key not in given]
    if missing:
        raise UsageError(
            f"run {record.run_id} was started with --set {missing[0]}=..., which is not kept, "
            "because it may be a secret",
            hint="Give it again.",
        )
    both = (*stored.overrides, *overrides)
    path = config if config is not None or stored.config is None else Path(stored.config)
    loaded = load_config(path, both)
    if stored.against:
        # A paired run has more rounds than its config says, unless the user chose them.
        own = {key: record.options[key] for key in _ROUNDS if f"run.{key}" not in given}
        loaded = replace(loaded, run=replace(loaded.run, **own))
    return RunRequest(
        config=loaded,
        workload=workload or stored.workload,
        events=stored.events if events is None else events,
        overrides=both,
        resume=record.run_id,
        against=stored.against,
        fail_if=stored.fail_if,
        resume_too=baselines,
        labels=RunLabels(record.name, record.tags, record.note),
        fold=stored.fold,
        experiment=record.experiment,
    )


def _journal(config: RunConfig) -> Journal:
    journal = Journal.open_existing(config.home)
    if journal is None:
        raise UsageError(
            f"there are no runs in {config.home} to resume", hint="Begin one: pilot run WORKLOAD"
        )
    return journal


def _stored(request: Mapping[str, Any], record: RunRecord) -> StoredRequest:
    if not request:
        raise UsageError(
            f"run {record.run_id} was made by an older pilot, which did not keep what is needed",
            hint="Start a new run: pilot run WORKLOAD",
        )
    # JSON has lists for tuples.
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in request.items()
    }
    if fields["folder"] != str(Path.cwd()):
        # Globs and files were named from where the command was given.
        fields["workload"] = tuple(
            path if path == "-" else os.path.join(fields["folder"], path)  # noqa: PTH118
            for path in fields["workload"]
        )
    against = fields.get("against")
    if against is None or isinstance(against, str):  # a journal of an older pilot
        fields["against"] = () if against is None else (against,)
    return StoredRequest(**fields)


def find_run(journal: Journal, resume: str, kind: RunKind) -> RunRecord:
    """The run that `resume` numbers or names, or, for `last`, the newest run that can be continued.

    Raises `UsageError` if there is none, or the run has nothing left to do.
    """
    if resume != NEWEST:
        if not resume.isdecimal() and not is_run_name(resume):
            raise UsageError(
                f"--resume takes the number or the name of a run, not {resume!r}",
                hint="See: pilot runs list",
            )
        record = journal.named_run(resume)
        if record.kind != kind:
            raise UsageError(
                f"run {record.run_id} is a `pilot {record.kind}`",
                hint=f"Resume it with: pilot {record.kind} --resume {record.run_id}",
            )
        if record.arm == "baseline" and record.paired_with is not None:
            record = journal.run(record.paired_with)
        if not _knows_its_baseline(journal, record):
            raise UsageError(
                f"run {record.run_id} took turns with run {record.paired_with} and cannot be "
                "continued: the journal does not know the config of that run",
                hint="Start a new run, or see how far this one came: "
                f"pilot runs compare {record.run_id} {record.paired_with}",
            )
        if _is_complete(record):
            raise UsageError(
                f"run {record.run_id} is complete: there is nothing to resume",
                hint=f"See what came of it: pilot runs show {record.run_id}",
            )
        return record
    for record in journal.runs(limit=None):
        resumable = record.arm != "baseline" and not _is_complete(record)
        known = resumable and _knows_its_baseline(journal, record)
        if record.kind == kind and known and not record.alive:
            return record
    raise UsageError(
        f"there is no interrupted run in {journal.path.parent}", hint="See: pilot runs list"
    )


def _knows_its_baseline(journal: Journal, record: RunRecord) -> bool:
    """Whether the journal says what a paired run was compared with; True for any other run."""
    if record.paired_with is None:
        return True
    return bool(journal.request(record.run_id)[0].get("against"))


def _is_complete(record: RunRecord) -> bool:
    if record.status == "running":
        return False
    return bool(record.summary.get("complete", True))


def refuse_changed_config(record: RunRecord, config: RunConfig) -> None:
    """Raise `UsageError`, with the differences, when the run was started with another config."""
    before = json.loads(record.config_text)
    now = json.loads(json.dumps(shown_config(config), default=str))
    for shown in (before, now):
        for model in shown["models"].values():
            model.pop("trust", None)  # what may be loaded, not what the run does
    changes = list(_differences(before, now))
    if changes:
        more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise UsageError(
            f"the config of run {record.run_id} has changed: {'; '.join(changes[:3])}{more}",
            hint="Put it back, or continue anyway with --force.",
        )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            yield from _differences(
                before.get(name), now.get(name), f"{key}.{name}" if key else str(name)
            )
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, f"{key}[{number}]")
    elif before != now:
        yield f"{key} was {_brief(before)} and is {_brief(now)}"


def _brief(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def refuse_changed_workload(
    journal: Journal,
    run_id: int,
    workload: Iterable[Query],
    digest: str | None,
    total: int | None,
) -> None:
    """Raise `UsageError`, with the first difference, when the run had another workload."""
    request, digest_before = journal.request(run_id)
    if digest is not None and digest == digest_before:
        return
    change = _first_difference(journal, run_id, workload)
    if change is None and (digest is None or digest_before is None):
        return
    before = request.get("total")
    if change is None and before is not None and total is not None and before != total:
        change = f"it has {plural(total, 'query', 'queries')} to run, and had {count(before)}"
    raise UsageError(
        f"the workload of run {run_id} has changed: "
        + (change or "statements that had not run yet are different"),
        hint="Put it back, or continue anyway with --force.",
    )


def _first_difference(journal: Journal, run_id: int, workload: Iterable[Query]) -> str | None:
    known = journal.queries(run_id)
    wanted = next(known, None)
    for query in workload:
        if wanted is None:
            return None
        if query.seq < wanted.seq:
            continue
        if text_in_journal(query.sql) != wanted.sql or len(query.sql) != wanted.sql_chars:
            place = f" ({query.file}:{query.line})" if query.file else ""
            return f"{query.label}{place} is a different statement"
        wanted = next(known, None)
    return None if wanted is None else f"{wanted.label} is missing"


def past_firings(journal: Journal, past: PastRun, *, only_ok: bool) -> PastFirings:
    """The firings of a run so far. With `only_ok` events count only successful queries."""
    fired: Counter[str] = Counter()
    last: dict[str, int] = {}
    once: set[tuple[str, str]] = set()
    failures = []
    for firing in journal.firings(past.run_id):
        fired[firing.event] += 1
        if firing.reason == "interval":
            last[firing.event] = firing.after_query
        else:
            once.add((firing.event, firing.reason))
        if firing.outcome == "failed":
            failures.append(_signal(firing))

    @functools.cache  # many events have fired after the same query, or never
    def counted_after(query: int) -> int:
        return journal.counted_after(past.run_id, query, ok=only_ok)

    return PastFirings(
        fired=fired,
        once=frozenset(once),
        failures=failures,
        counted=lambda event: counted_after(last.get(event, 0)),
        begun=past.begun,
    )


def _signal(firing: FiringRecord) -> EventTriggered:
    values = asdict(firing)
    del values["fired_at"]
    return EventTriggered(**values)


def versions_to_load(journal: Journal, past: PastRun) -> dict[str, int | None]:
    """The checkpoint of each model that was in use, without what the interrupted firing saved."""
    versions = dict(past.loaded)
    for saved in journal.models(past.run_id):
        begun = past.begun
        if begun is not None and (saved.event, saved.query_seq) == (begun.event, begun.after_query):
            continue
        versions[saved.model] = saved.version
    return versions
