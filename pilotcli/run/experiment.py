"""What the arms of a paired run learn from, and what they are judged on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import listed, plural
from pilotcli.config.home import shown_path
from pilotcli.config.model import RunSection
from pilotcli.run.request import RunRequest
from pilotcli.workload import Workload, open_workload
from pilotcli.workload.parts import After, Both, Queries, folds, in_both, split

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Experiment:
    """The queries `test` that are compared, and those that drivers learn from before: `learning`,
    None for the same. `whole` has both."""

    test: Queries
    learning: Queries | None
    whole: Queries

    def overlap(self) -> str | None:
        """A warning about compared queries that drivers learn from, too; None without any."""
        if self.learning is None or not (found := in_both(self.test, self.learning)):
            return None
        names = listed([query.label for query in found], _SHOWN)
        queries = plural(len(found), "query is", "queries are")
        return (
            f"{queries} among those to learn from, too, with these or other values ({names}): "
            "the result is partly about queries that the drivers have seen"
        )


@contextlib.contextmanager
def open_experiments(
    request: RunRequest, notify: Callable[[str], object]
) -> Iterator[Sequence[Experiment]]:
    """Opens the workloads of a paired run; gives its folds, or the only experiment.

    Raises `UsageError` where the options contradict each other or the workload cannot be divided,
    and `WorkloadError`.
    """
    options = request.config.run
    refuse_contradictions(options)
    with contextlib.ExitStack() as stack:
        workload = stack.enter_context(
            open_workload(
                request.paths,
                stdin=request.stdin,
                limit=options.limit,
                select=options.select,
                exclude=options.exclude,
                notify=notify,
            )
        )
        learn_on = None
        if options.learn_on:
            learn_on = stack.enter_context(
                open_workload(list(map(shown_path, options.learn_on)), notify=notify)
            )
        yield _experiments(options, workload, learn_on)


def fold_count(request: RunRequest) -> int:
    """Returns how many folds a paired run has: 1 without `run.folds`. Raises as
    `open_experiments`."""
    if request.config.run.folds is None:
        return 1
    with open_experiments(request, lambda text: None) as experiments:
        return len(experiments)


def refuse_contradictions(options: RunSection) -> None:
    """Raise `UsageError` if more than one option says what to learn from, or if nothing is learned
    or split although an option says so."""
    named = {
        "--learn-on (run.learn_on)": bool(options.learn_on),
        "--split (run.split)": options.split is not None,
        "--folds (run.folds)": options.folds is not None,
    }
    given = [name for name, is_given in named.items() if is_given]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} both say what the driver learns from",
            hint="Choose one. --set run.learn_on=[] leaves the workload of the config out.",
        )
    if options.split_by == "template" and options.split is None and options.folds is None:
        raise UsageError(
            "--split-by template has nothing to split",
            hint="Leave it out: --learn-on says what the driver learns from."
            if options.learn_on
            else "Add --split 80/20 or --folds 5. With --split-by query nothing is split.",
        )
    if given and not options.learning_rounds:
        raise UsageError(
            f"{given[0]} with --learn 0: the driver learns in no round",
            hint="Use --learn 1 or more.",
        )


def _experiments(
    options: RunSection, workload: Workload, learn_on: Workload | None
) -> Sequence[Experiment]:
    by, seed = options.split_by, options.seed
    if learn_on is not None:
        after = After(learn_on, max(query.seq for query in workload))
        return [Experiment(workload, after, Both(workload, after))]
    if options.folds is not None:
        parts = folds(workload, options.folds, by, seed)
        return [Experiment(test, learning, test.with_whole()) for learning, test in parts]
    if options.split is not None:
        learning, test = split(workload, options.split, by, seed)
        return [Experiment(test, learning, test.with_whole())]
    return [Experiment(workload, None, workload)]
