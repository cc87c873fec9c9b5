"""The commands of `pilot`: where each is, and its line in the help of its group.

A command's module is imported when the command is called, here and nowhere else, so that
`pilot --help` and a command that only lists do not wait for what a run needs.
"""

from __future__ import annotations

import re
from importlib import import_module
from textwrap import shorten
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from pilotcli.cli.help_groups import GROUPED_FROM, group_of, place_of
from pilotcli.common.errors import PilotError
from pilotcli.common.suggestions import nearest
from pilotcli.views.text import clean

GROUPS = {
    "events": "Show the events of the config, and when they fire.",
    "handlers": "Show the handlers of the config, and what they do to a query.",
    "models": "Manage model checkpoints.",
    "runs": "Show and compare past runs.",
    "workloads": "Make workloads: benchmarks, generated queries, production logs.",
    "db": "Manage the embedded PostgreSQL.",
    "config": "Check and show the config.",
}

COMMANDS = {
    "run": ("run:run", "Replay a SQL workload while events fire."),
    "pretrain": ("run:pretrain", "Run only the pretraining: collect rows, train, save models."),
    "doctor": ("doctor:doctor", "Check machine, config, database and store; say what to fix."),
    "init": ("init:init", "Write a first project: config, events, schema and queries."),
    "help": ("help:help_", "Show the help of a command, as --help does."),
    "events list": ("events:list_", "List the events: name, kind, when they fire, model, class."),
    "events plan": ("events:plan", "Show which event fires after which query."),
    "events fire": (
        "event_firing:fire",
        "Call one event on the rows in the store, without a replay.",
    ),
    "handlers list": (
        "handlers:list_",
        "List the handlers: name, what they push, when, model, class.",
    ),
    "handlers try": (
        "handler_trying:try_",
        "Show what a handler does to one query: its pushes, and both plans.",
    ),
    "models list": ("models:list_", "List all models with their current checkpoints."),
    "models show": ("models:show", "Show a model's checkpoints, oldest first."),
    "models trust": ("models:trust", "Trust checkpoints that this home did not save."),
    "models rollback": ("models:rollback", "Make an older checkpoint of a model the current one."),
    "models prune": ("models:prune", "Remove a model's oldest checkpoints."),
    "runs list": ("runs.list:list_", "List runs, newest first."),
    "runs show": ("runs.show:show", "Show one run: its end, latencies, events, models, queries."),
    "runs compare": (
        "runs.compare:compare",
        "Compare two runs: faster queries, slower queries, noise.",
    ),
    "runs diff": ("runs.compare:diff", "Show how one query's plans in two runs differ."),
    "runs report": ("runs.export:report", "Write a run, or a comparison of two, as one HTML page."),
    "runs advice": ("runs.advice:advice", "Write what a driver learned as plan advice."),
    "runs export": ("runs.export:export", "Write a run as tables for other tools."),
    "runs name": ("runs.labels:name", "Name a run, or take its name away."),
    "runs tag": ("runs.labels:tag", "Add tags to a run, or take them away."),
    "runs note": ("runs.labels:note", "Keep a note about a run, or take it away."),
    "runs rm": ("runs.remove:rm", "Remove runs from the journal."),
    "runs prune": ("runs.remove:prune", "Remove old runs from the journal."),
    "workloads list": (
        "workloads.benchmarks:list_",
        "List the benchmarks that pilot can write as folders.",
    ),
    "workloads get": (
        "workloads.benchmarks:get",
        "Write a benchmark as a folder: schema, data, queries, config.",
    ),
    "workloads generate": (
        "workloads.generate:generate",
        "Make queries over your database, for training and test.",
    ),
    "workloads from-log": (
        "workloads.from_log:from_log",
        "Write the statements of a PostgreSQL log as a workload.",
    ),
    "workloads from-server": (
        "workloads.from_server:from_server",
        "Write what pg_stat_statements counted, as a workload.",
    ),
    "db start": ("db:start", "Start the embedded server, keep it running, print its URL."),
    "db stop": ("db:stop", "Stop the embedded server."),
    "db status": ("db:status", "Show if the embedded server runs, its data folder and users."),
    "db url": ("db:url", "Print the running server's URL, for psql and other programs."),
    "db psql": ("db:psql", "Open psql on the embedded server, and start the server if needed."),
    "db undo": ("db:undo", "Undo what killed pilots left: knobs, indexes, extensions."),
    "db reset": ("db:reset", "Delete all data of the embedded server, collected data too."),
    "config check": (
        "config_check:check",
        "Check the config and its classes; report all problems at once.",
    ),
    "config show": ("config:show", "Print the config as pilot uses it."),
    "config schema": ("config:schema", "Print the JSON Schema of a config, for editors."),
}
"""By name: the module and function below `pilotcli.cli`, and the first sentence of its text."""


COMPLETION_COLUMNS = 78
"""Columns of the text beside a completion: typer wraps longer ones, which some shells show as
further completions."""
_CLAUSES = re.compile(rf"(.{{1,{COMPLETION_COLUMNS}}})(?:[:;,] |$)")
_NAMES = 30
"""Columns of a help for the names of options; the text of a longer one begins on the next line."""
_CHOICE = re.compile(r"'(.*)' is not one of (.*)\.")
_QUOTED = re.compile(r"'([^']*)'")


class LazyGroup(TyperGroup):
    """A group that knows the names and help lines of its commands, and loads what is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The group or the loaded command that `args` begin with."""
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except Exception as exc:
            if not isinstance(exc, PilotError):
                _name_commands(exc, args[0], self.name or "pilot")
            raise
        if name is not None and not isinstance(command, TyperGroup):
            command = load_command(f"{self.name} {name}".removeprefix("pilot "))
        return name, command, rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments as typer does."""
        try:
            return super().parse_args(ctx, args)
        except Exception as exc:
            _name_option(exc)
            raise

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete as typer does, with brief texts."""
        return _with_brief_texts(super().shell_complete(ctx, incomplete))


def _name_commands(exc: Any, word: str, group: str) -> None:
    """Have typer's error for an unknown command name the commands in groups that are called so."""
    if group != "pilot":
        if word == "help":
            exc.message = f"No such command {word!r}. Write pilot help {group}."
        return
    places: dict[str, list[str]] = {}
    for path in COMMANDS:
        places.setdefault(path.split()[-1], []).append(path)
    unknown = f"No such command {word!r}."
    if word in places or "Did you mean" not in exc.message:
        paths = places.get(nearest(word, places) or "")
        exc.message = (
            f"{unknown} Did you mean {' or '.join(map(repr, paths))}?" if paths else unknown
        )


def _name_option(exc: Any) -> None:
    """Have typer's error for an unknown option name the one that is most like it."""
    options = getattr(exc, "possibilities", None)
    if options:
        match = nearest(exc.option_name, options)
        exc.message += f". Did you mean {match or options[0]}?"
        exc.possibilities = None
    if hasattr(exc, "message"):
        exc.message = clean(exc.message)


class Command(TyperCommand):
    """A command whose errors of use name what was probably meant, and whose options are shown in
    groups if there are many."""

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete as typer does, with brief texts."""
        return _with_brief_texts(super().shell_complete(ctx, incomplete))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options into the help."""
        options = [param for param in self.get_params(ctx) if param.param_type_name == "option"]
        if len(options) < GROUPED_FROM:
            super().format_options(ctx, formatter)
            return
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for param in self.get_params(ctx):
            if param.param_type_name == "argument" and (row := param.get_help_record(ctx)):
                sections["Arguments"].append(row)
        options.sort(key=lambda param: place_of(_long_name(param)))
        for param in options:
            if row := param.get_help_record(ctx):
                sections.setdefault(group_of(_long_name(param)), []).append(row)
        # The same columns in each section.
        width = max(
            (len(name) for rows in sections.values() for name, _ in rows if len(name) <= _NAMES),
            default=0,
        )
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), text) for name, text in rows], width)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments as typer does."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as exc:
            exc.message = exc.message.removeprefix("Value error, ")
            choice = _CHOICE.fullmatch(exc.message)
            match = nearest(choice[1], _QUOTED.findall(choice[2])) if choice else None
            if match is not None:
                exc.message += f" Did you mean {match!r}?"
            raise
        except Exception as exc:
            _name_option(exc)
            raise


def brief(text: str) -> str:
    """The first sentence of a help, or as many of its clauses as have room on one line, without
    what typer would take for markup."""
    sentence = " ".join(text.split()).partition(". ")[0].replace("[", "(").replace("]", ")")
    clauses = _CLAUSES.match(sentence)
    return clauses[1] if clauses else shorten(sentence, COMPLETION_COLUMNS, placeholder=" ...")


def _with_brief_texts(items: Any) -> Any:
    for item in items:
        item.help = brief(item.help or "") or None
    return items


def _long_name(param: Any) -> str:
    return str(max(param.opts, key=len))


def add_commands(root: TyperGroup) -> None:
    """Add every group, and a stand-in for every command, to `root`."""
    groups = {
        name: LazyGroup(
            name=name, help=text, short_help=text, no_args_is_help=True, rich_markup_mode=None
        )
        for name, text in GROUPS.items()
    }
    for path, (_, text) in COMMANDS.items():
        group, _, name = path.rpartition(" ")
        parent = groups[group] if group else root
        parent.add_command(TyperCommand(name, help=text, short_help=text), name)
    for name, group_ in groups.items():
        root.add_command(group_, name)


def load(place: str) -> Any:
    """The function at `place` below `pilotcli.cli` (`runs.list:list_`), its module imported."""
    module, _, function = place.partition(":")
    return getattr(import_module(f"pilotcli.cli.{module}"), function)


def load_command(path: str) -> TyperCommand:
    """The command `path` (`runs list`), its module imported."""
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    name = path.rpartition(" ")[2]
    single.command(name, cls=Command)(load(COMMANDS[path][0]))
    command = typer.main.get_command(single)
    assert isinstance(command, TyperCommand)
    return command
