"""`pilot runs show`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pilotcli.analysis.compare_named import compare_runs, named_run, open_journal
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import gate_reasons
from pilotcli.analysis.model_updates import MOST_RESULTS, update_effects
from pilotcli.analysis.repeats import repeats_of
from pilotcli.cli import options
from pilotcli.cli.outputs import check_outputs, shown_elsewhere, write_outputs
from pilotcli.cli.run_options import Outputs
from pilotcli.common.errors import UsageError
from pilotcli.common.records import QueryResult
from pilotcli.config import load_config
from pilotcli.storage.journal import JournalReader, RunRecord
from pilotcli.views.charts import PARTS
from pilotcli.views.console import err
from pilotcli.views.past_runs import FAILED_SHOWN, FAILURES_SHOWN, RunDetails, show_run
from pilotcli.views.provenance import show_provenance
from pilotcli.workload.selection import Selection, chosen_numbers


def show(
    run: options.RunArgument = None,
    slowest: Annotated[
        int, typer.Option("--slowest", metavar="N", min=0, help="Show the N slowest queries.")
    ] = 5,
    failed: Annotated[
        bool, typer.Option("--failed", help="Show the queries that failed, instead of the slowest.")
    ] = False,
    select: options.SelectOption = None,
    exclude: options.ExcludeOption = None,
    provenance: Annotated[
        bool,
        typer.Option(
            "--provenance",
            help="Show what the run depended on instead: command, commit, versions, machine, "
            "server, config.",
        ),
    ] = False,
    junit: options.JUnitOption = None,
    summary: options.SummaryOption = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    format: options.FormatOption = "table",
) -> None:
    """Show one run: its end, latencies, events, models, queries.

    Queries of a run with several rounds have mean, median, standard deviation,
    least and worst time.

    \b
    Examples:
      pilot runs show
      pilot runs show 12 --slowest 20
      pilot runs show 12 --failed --format json
      pilot runs show 12 --select 'hot-*' --slowest 50
      pilot runs show nightly --provenance
    """
    home = load_config(config, set_).home
    outputs = Outputs(junit=junit, summary=summary)
    check_outputs(outputs)
    home, run_id = (home, None) if run is None else named_run(home, run)
    with open_journal(home) as journal:
        record = journal.run(run_id)
        if provenance:
            show_provenance(record, format)
            return
        comparison = _comparison(home, journal, record)
        whole = format == "json"
        selection = Selection(tuple(select or ()), tuple(exclude or ()))
        details = _details(journal, record, comparison, whole, None if failed else slowest)
        if selection:
            results = _selected(journal, record.run_id, selection, None if failed else slowest)
            details = replace(details, results=results)
        with shown_elsewhere(outputs):
            show_run(details, format)
    if outputs != Outputs():
        reasons = gate_reasons(map(str, record.summary.get("reasons", ())))
        write_outputs(outputs, home, record.run_id, comparison, reasons)


def _comparison(home: Path, journal: JournalReader, record: RunRecord) -> Comparison | None:
    """The driver's run of a pair, compared with its baseline where that does not take long."""
    few = journal.statistics(record.run_id).total <= MOST_RESULTS
    if record.paired_with is None or record.arm != "driver" or not few:
        return None
    with contextlib.suppress(UsageError):  # nothing has ended in both
        return compare_runs(home, str(record.run_id), None)
    return None


def _selected(
    journal: JournalReader, run_id: int, selection: Selection, slowest: int | None
) -> tuple[QueryResult, ...]:
    """The `slowest` of the selected queries, or with None those that failed."""
    queries = list(journal.queries(run_id))
    kept = chosen_numbers(selection, queries, lambda text: err(f"warning: {text}"))
    if slowest is None:
        return tuple(one for one in journal.results(run_id, failed=True) if one.seq in kept)
    every = journal.slowest(run_id, len(queries), journal.learned_rounds(journal.run(run_id)))
    return tuple([result for result in every if result.seq in kept][:slowest])


def _details(
    journal: JournalReader,
    record: RunRecord,
    comparison: Comparison | None,
    whole: bool,
    slowest: int | None,
) -> RunDetails:
    """What is shown of a run: `slowest` of its queries, or with None those that failed.

    A table has the first of many only, since it is held in memory; JSON (`whole`) has all.
    """
    run_id = record.run_id
    statistics, compared = journal.statistics(run_id), journal.compared_statistics(record)
    learned = journal.learned_rounds(record)
    rounds = journal.rounds(run_id)
    repeated = slowest is not None and rounds > 1
    reads_all = repeated and (whole or statistics.total <= MOST_RESULTS)
    parts = journal.timeline(run_id, PARTS)
    if slowest is None:
        failures = None if whole else FAILED_SHOWN
        results = tuple(journal.results(run_id, failed=True, limit=failures))
    else:
        results = tuple(journal.slowest(run_id, slowest, learned))
    return RunDetails(
        record,
        statistics,
        compared,
        journal.event_totals(run_id, FAILURES_SHOWN),
        journal.firings(run_id) if whole or parts else (),
        journal.models(run_id),
        results,
        slowest is None,
        rounds,
        parts,
        update_effects(journal, run_id),
        comparison,
        repeats_of(journal.results(run_id), learned) if reads_all else {},
    )
