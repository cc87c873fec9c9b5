"""What `pilot runs rm`, `prune`, `name`, `tag` and `note` show."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pilotcli.common.quantities import plural, size
from pilotcli.storage.journal import RunRecord
from pilotcli.storage.journal.deletion import Freed
from pilotcli.storage.removal import Outdated
from pilotcli.views.console import out
from pilotcli.views.provenance import label_facts
from pilotcli.views.tables import when
from pilotcli.views.text import clean, joined


def show_to_remove(runs: Sequence[RunRecord], named: Collection[int] | None = None) -> None:
    """The runs to remove, a line each; those that are not `named` go along with one that is."""
    for run in runs:
        along = named is not None and run.run_id not in named
        facts = [
            f"run {run.run_id}",
            "which goes with it" if along else "",
            f"{run.arm} of run {run.paired_with}" if run.paired_with is not None else "",
            run.name or "",
            when(run.started_at),
            run.workload,
        ]
        out(clean(joined(facts)))


def show_kept(found: Outdated) -> None:
    """What a prune keeps although it is old."""
    if not found.runs:
        out("There is nothing to remove.")
    if found.labelled:
        kept = plural(found.labelled, "run with a name, tags or a note stays", "runs with a name, "
                      "tags or a note stay")  # fmt: skip
        out(f"{kept} (--all removes them, too)")
    if found.needed:
        out(f"{plural(found.needed, 'run stays', 'runs stay')}: running, or with rows to save")


def question(runs: Sequence[RunRecord]) -> str:
    """What is asked before runs are removed."""
    return (
        f"Remove {plural(len(runs), 'run')} with all results? Checkpoints stay, and the rows that "
        "were collected into the store."
    )


def show_removed(runs: Sequence[RunRecord], freed: Freed) -> None:
    """How many runs were removed, and what became of their space."""
    after = size(freed.after_bytes)
    out(f"removed {plural(len(runs), 'run')}; the journal has {after}, before "
        f"{size(freed.before_bytes)}")  # fmt: skip
    if freed.free_bytes:
        free = size(freed.free_bytes)
        out(f"{free} of it is free for later runs: a run is being written, so it was not compacted")
    out("Checkpoints and the rows in the store stay: pilot models prune; see also pilot doctor.")


def show_labels(run: RunRecord) -> None:
    """What the user calls a run now."""
    facts = [f"{what} {value}" for what, value in label_facts(run).items()]
    out(clean(f"run {run.run_id}: {'; '.join(facts) or 'no name, tags or note'}"))
