"""The `pilot` command: its groups, and how every command ends."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import pilotcli
from pilotcli.cli import config, db, doctor, events, init, models, run, runs
from pilotcli.common.errors import PilotError

__all__ = ["app", "main"]

DEFECT_EXIT_CODE = 70
"""pilot itself is broken (EX_SOFTWARE of sysexits.h)."""

app = typer.Typer(
    name="pilot",
    help="Replay SQL workloads against a real database while learned drivers watch and steer it.",
    epilog="Add --debug to any command to see the traceback of an error. "
    "Start with: pilot init demo && cd demo && pilot run",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command()(run.run)
app.command()(run.pretrain)
app.add_typer(events.app, name="events")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")
app.command()(doctor.doctor)
app.command()(init.init)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pilot {pilotcli.__version__}")
        raise typer.Exit


@app.callback()
def _pilot(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command and exit with its code; no error but a defect of pilot shows a traceback."""
    arguments = sys.argv[1:]
    debug = bool(os.environ.get("PILOT_DEBUG"))
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--debug" in own:
        debug = True
        arguments.remove("--debug")
    _log_to_terminal()
    sys.exit(_exit_code(arguments, debug))


def _with_run(arguments: list[str]) -> list[str]:
    """The arguments with `--resume last` for a `--resume` that no number follows."""
    told = []
    for at, word in enumerate(arguments):
        told.append(word)
        if word == "--resume" and not "".join(arguments[at + 1 : at + 2]).isdecimal():
            told.append("last")
    return told


def _log_to_terminal() -> None:
    """Let what pilot's own modules log reach the terminal in the form that it takes there.

    The root logger is left to drivers.
    """
    import logging

    from pilotcli.views.log_lines import LogLines

    own = logging.getLogger("pilotcli")
    own.addHandler(LogLines())
    own.propagate = False


def _exit_code(arguments: list[str], debug: bool) -> int:
    command = typer.main.get_command(app)
    try:
        command.main(_with_run(arguments), prog_name="pilot")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except PilotError as exc:
        from pilotcli.views.console import error, trace

        if debug:
            trace(exc)
        else:
            error(exc)
        return exc.exit_code
    except Exception as exc:  # noqa: BLE001 - told, with an exit code of its own
        from pilotcli.views.console import defect, trace

        if debug:
            trace(exc)
        else:
            defect(exc)
        return DEFECT_EXIT_CODE
    return 0
