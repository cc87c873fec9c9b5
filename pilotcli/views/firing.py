"""What `pilot events fire` shows: the event's output as it comes, and what came of the call."""

from __future__ import annotations

import sys

from pilotcli.common import signals
from pilotcli.common.errors import DriverError
from pilotcli.common.failures import own_traceback
from pilotcli.common.quantities import duration, plural, size
from pilotcli.common.redaction import redacted
from pilotcli.run.firing import Fired
from pilotcli.views.console import Writer, err, out
from pilotcli.views.messages import output_text
from pilotcli.views.text import clean


class CallView:
    """Writes what drivers print to where they print it, and pilot's own lines to standard error."""

    def __init__(self) -> None:
        self._out = Writer(sys.stdout)
        self._err = Writer(sys.stderr)

    def __call__(self, signal: object) -> None:
        """Take a signal; called from any thread."""
        if isinstance(signal, signals.DriverOutput):
            writer = self._out if signal.stream == "stdout" else self._err
            writer.write(f"{output_text(signal)}\n")
        elif (text := _own_line(signal)) is not None:
            self._err.write(f"{clean(text)}\n")


def _own_line(signal: object) -> str | None:
    if isinstance(signal, signals.StepStarted):
        return signal.text
    if isinstance(signal, signals.DatabaseReady):
        return f"database ready: {signal.description}"
    if isinstance(signal, signals.Notice):
        return signal.text if signal.level == "info" else f"{signal.level}: {signal.text}"
    if isinstance(signal, signals.ModelLoaded):
        version = "" if signal.version is None else f" v{signal.version.version}"
        return f"model {signal.model}{version} loaded"
    if isinstance(signal, signals.CollectionFinished):
        rows = plural(signal.total_rows, "row")
        calls = plural(signal.iterations, "call")
        return f"{signal.event} collected {rows} in {calls}, in {duration(signal.elapsed_s)}"
    return None


def show_fired(fired: Fired, *, save: bool, full_traceback: bool, debugged: bool) -> None:
    """Write what came of the call. Raises `DriverError` for a call that failed, after its
    traceback."""
    signal = fired.signal
    if fired.raised is not None:
        _show_traceback(fired, full=full_traceback)
        hint = None if debugged else "Look around where it failed: add --pdb."
        raise DriverError(f"{signal.event} failed: {signal.error}", hint=hint)
    out(f"{clean(signal.event)} ended well in {duration(signal.duration_s)}")
    if fired.model is not None:
        _show_model(fired, save=save)
    if not (save and fired.returned is not None):
        kept = "; --save keeps the model" if fired.returned is not None else ""
        out(f"nothing is kept, neither rows that the event saved nor how far it has read{kept}")


def _show_model(fired: Fired, *, save: bool) -> None:
    name, version = clean(fired.model or ""), fired.version
    if fired.returned is None:
        out(f"model {name}: None came back, so the model stays as it is")
        return
    out(f"model {name}: {clean(fired.returned)}")
    if save:
        number = "" if version is None else f" as v{version.version}"
        out(f"model {name}: saved{number}{_size(fired)}")
    elif version is not None:
        out(f"model {name}: it can be saved and takes{_size(fired).removeprefix(',')}")


def _size(fired: Fired) -> str:
    version = fired.version
    return "" if version is None else f", {size(version.size_bytes)}"


def _show_traceback(fired: Fired, *, full: bool) -> None:
    whole = fired.signal.traceback or ""
    show_traceback(whole, whole if full or fired.raised is None else own_traceback(fired.raised))


def show_traceback(whole: str, shown: str) -> None:
    """Write the traceback `shown`, which may be a part of the `whole` one, to standard error."""
    for line in redacted(shown).splitlines():
        err(f"  {clean(line)}")
    if shown.count("\n  File ") < whole.count("\n  File "):
        err("  (frames of other code are left out: --full-traceback shows them)")
