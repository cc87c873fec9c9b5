"""Shows a run while it goes on, and lets the debugger have the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pilotcli.cli.run_options import ViewOptions
from pilotcli.common.debugger import debugging
from pilotcli.common.errors import StorageError
from pilotcli.common.signals import Bus
from pilotcli.run.debugging import make_debugger
from pilotcli.run.driver_output import own_stream, process_output
from pilotcli.views.base import View
from pilotcli.views.console import error, out
from pilotcli.views.view import make_view


@dataclass(slots=True)
class Shown:
    """What takes a run's signals, what closes it, and whether its output could be written."""

    bus: Bus
    close: Callable[[], None]
    failed: bool = False

    def exit_code(self, code: int) -> int:
        """The exit code of a run that ended with `code`, whose own problems come first."""
        return code or (StorageError.exit_code if self.failed else 0)


@contextlib.contextmanager
def shown_run(options: ViewOptions) -> Iterator[Shown]:
    """Shows a run, until this is closed; all other output of the process goes there too."""
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(own_stream())
        view = make_view(
            format=options.format,
            quiet=options.quiet,
            verbose=options.verbose,
            color=False if options.no_color else None,
            stream=stream,
        )
        bus = Bus(view)
        debugger = make_debugger(
            bus,
            out,
            post_mortem=options.pdb,
            step_aside=view.step_aside,
            step_back=view.step_back,
        )
        stack.enter_context(view)
        stack.enter_context(debugging(debugger))
        shown = Shown(bus, view.close)
        # Standard error leads to the view until the other contexts are closed.
        stack.callback(_report, view, shown)
        if stream is not None:
            stack.enter_context(process_output(shown.bus))
        yield shown


def _report(view: View, shown: Shown) -> None:
    view.close()
    try:
        view.check()
    except StorageError as exc:
        shown.failed = True
        error(exc)
