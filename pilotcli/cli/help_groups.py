"""The groups of options in the help of a command that has many, as of `pilot run`."""

from __future__ import annotations

GROUPED_FROM = 20
"""The least number of options that are shown in groups; fewer are one list."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Config": ("config", "set"),
    "Workload": ("select", "exclude", "failed", "failed-of", "slowest", "limit"),
    "Rounds": ("repeat", "rounds", "warmup", "shuffle", "seed"),
    "Load": (
        *("workers", "clients", "rate", "arrivals", "duration", "think", "ramp", "pace"),
        "every",
    ),
    "Around the queries": ("prepare", "cleanup", "before-each", "cold"),
    "Time-outs and failures": ("timeout", "reconnect", "max-failures", "fail-fast"),
    "Events, handlers and models": (
        *("events", "no-events", "no-handlers", "pretraining", "trust", "pdb"),
    ),
    "Learning and comparison": (
        *("against", "learn", "learn-on", "split", "split-by", "folds", "freeze", "fresh"),
        *("fail-if", "expect-from"),
    ),
    "Record of the run": ("name", "tag", "note", "plans", "answers"),
    "Output files": ("output", "report", "junit", "summary", "mlflow"),
    "Check and resume": ("dry-run", "resume", "force"),
    "Display": ("format", "quiet", "verbose", "no-color", "help"),
}
"""By heading: the long names of its options, in the order of the help. An option that is in no
group is under "Options", at the end."""

_GROUP_OF = {name: heading for heading, names in GROUPS.items() for name in names}


def group_of(option: str) -> str:
    """The heading of the group that an option (`--before-each`) is in."""
    return _GROUP_OF.get(option.removeprefix("--"), "Options")


def place_of(option: str) -> tuple[int, int]:
    """Sorts options by their place in the help; those of no group are last, in their order."""
    name = option.removeprefix("--")
    heading = _GROUP_OF.get(name)
    if heading is None:
        return len(GROUPS), 0
    return list(GROUPS).index(heading), GROUPS[heading].index(name)
