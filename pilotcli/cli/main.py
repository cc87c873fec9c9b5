"""The `pilot` command: how it starts, and how every command ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
from itertools import zip_longest
from traceback import walk_tb
from typing import Annotated

import typer
from typer.core import TyperGroup

import pilotcli
from pilotcli.cli.commands import LazyGroup, add_commands
from pilotcli.common.errors import PilotError, StorageError
from pilotcli.common.labels import NEWEST, is_run_name
from pilotcli.common.os_advice import advice
from pilotcli.views.console import defect, error, out, trace, unwritable
from pilotcli.views.log_lines import LogLines

DEFECT_EXIT_CODE = 70
"""pilot itself is broken (EX_SOFTWARE of sysexits.h)."""

_DEBUG_HINT = "Run it again with --debug to see where pilot needs this."

_app = typer.Typer(
    name="pilot",
    cls=LazyGroup,
    help="Replay SQL workloads against a real database while learned drivers watch and steer it.",
    epilog="Add --debug to any command to see the traceback of an error. "
    "Start with: pilot init demo && cd demo && pilot run",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        out(f"pilot {pilotcli.__version__}")
        raise typer.Exit


@_app.callback()
def _pilot(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def pilot_command() -> TyperGroup:
    """The whole command line; the module of a command is imported when it is called."""
    root = typer.main.get_command(_app)
    assert isinstance(root, TyperGroup)
    add_commands(root)
    return root


def main() -> None:
    """Run a command and exit with its code; no error but a defect of pilot shows a traceback."""
    _keep_standard_descriptors()
    arguments = sys.argv[1:]
    debug = bool(os.environ.get("PILOT_DEBUG"))
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--debug" in own:
        debug = True
        arguments.remove("--debug")
    # The root logger is left to drivers.
    log = logging.getLogger("pilotcli")
    log.addHandler(LogLines())
    log.propagate = False
    _end_by_signals()
    sys.exit(_exit_code(arguments, debug))


def _end_by_signals() -> None:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does: temporary files are deleted.

    A signal that is ignored, as by nohup, stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _keep_standard_descriptors() -> None:
    """Open descriptors 0, 1 and 2 if they are closed.

    Otherwise the next file, pipe or connection gets such a number, and what a driver prints, or a
    child process writes, goes into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _with_run(arguments: list[str]) -> list[str]:
    """The arguments with `--resume last` for a `--resume` that no run follows."""
    completed = []
    for word, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        completed.append(word)
        if word == "--resume" and not _names_run(following):
            completed.append(NEWEST)
    return completed


def _names_run(word: str) -> bool:
    """Whether the word after `--resume` is a run, and not a file of the workload."""
    named = word.isdecimal() or word == NEWEST
    return named or (is_run_name(word) and not os.path.lexists(word))


def _exit_code(arguments: list[str], debug: bool) -> int:
    try:
        pilot_command().main(_with_run(arguments), prog_name="pilot")
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):
            return 0  # a reader that stops early, as `| head`
        return exc.code if isinstance(exc.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except PilotError as exc:
        (trace if debug else error)(exc)
        return exc.exit_code
    except OSError as exc:
        (trace if debug else error)(_environment_error(exc))
        return StorageError.exit_code
    except Exception as exc:  # noqa: BLE001 - shown, with an exit code of its own
        (trace if debug else defect)(exc)
        return DEFECT_EXIT_CODE
    return 0


def _environment_error(exc: OSError) -> PilotError:
    """The error for what the system has refused, and nobody else reports."""
    reason = exc.strerror or str(exc)
    frames = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(exc.__traceback__)]
    if exc.filename is None and frames[-1].startswith(("typer", "click")):
        failure: PilotError = unwritable(exc)  # the help, which typer writes itself
    elif exc.filename is None:
        failure = StorageError(
            f"the system refused what pilot needs: {reason}", hint=advice(exc, _DEBUG_HINT)
        )
    else:
        failure = StorageError(f"{exc.filename}: {reason}", hint=advice(exc, _DEBUG_HINT))
    failure.__cause__ = exc
    return failure
