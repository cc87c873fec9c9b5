"""What a config does around a run and before each query: SQL, or commands of the shell."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence

from pilotcli.common.errors import CapabilityError, Interrupted, QueryError, UsageError
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import DropsBuffers, Session, Target

_COMMAND = "$ "
"""What a text begins with that is a command of the shell."""
COLD_TEXT = (
    "the server is restarted before each query: its buffers are empty, and what the operating "
    "system has cached of its files stays"
)
_LOOK_EVERY_S = 0.1
_SHOWN_CHARS = 500


@contextlib.contextmanager
def around_run(
    options: RunSection, target: Target, sessions: list[Session], stop: threading.Event
) -> Iterator[None]:
    """Carry out `run.prepare` before the body and `run.cleanup` after it, however it ends.

    `sessions` has meanwhile the session in which they run, to be cancelled. Raises `UsageError`
    when one of them fails, and the errors of a lost connection.
    """
    if options.cold and not isinstance(target, DropsBuffers):
        raise CapabilityError("pilot cannot restart this server, as run.cold asks")
    _in_own_session("prepare", options.prepare, target, sessions, stop)
    try:
        yield
    finally:
        # After a stop it is carried out, too, and may be stopped by the second Ctrl-C.
        _in_own_session("cleanup", options.cleanup, target, [], threading.Event())


def before_each(options: RunSection, session: Session, stop: threading.Event) -> None:
    """Carry out `run.before_each` in the session of the query that follows. Raises as
    `around_run`."""
    for text in options.before_each:
        _carry_out("before_each", text, session, stop)


def _in_own_session(
    key: str,
    texts: Sequence[str],
    target: Target,
    sessions: list[Session],
    stop: threading.Event,
) -> None:
    if not texts:
        return
    with contextlib.closing(target.session()) as session:
        sessions.append(session)
        try:
            for text in texts:
                _carry_out(key, text, session, stop)
        finally:
            sessions.remove(session)


def _carry_out(key: str, text: str, session: Session, stop: threading.Event) -> None:
    if text.startswith(_COMMAND):
        _run_command(key, text.removeprefix(_COMMAND), stop)
        return
    try:
        session.execute(text)
    except QueryError as exc:
        if stop.is_set():
            raise Interrupted("stopped") from exc
        raise UsageError(
            f"run.{key} failed: {exc.message}",
            hint=f"The statement was: {text[:_SHOWN_CHARS]} (a command begins with `{_COMMAND}`)",
        ) from exc


def _run_command(key: str, command: str, stop: threading.Event) -> None:
    # A pipe would be open for as long as a process that the command leaves in the background.
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_LOOK_EVERY_S)
                    break
                if stop.is_set():
                    process.kill()
                    raise Interrupted("stopped")
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4 * _SHOWN_CHARS))
        last = output.read().decode("utf-8", "replace").strip()[-_SHOWN_CHARS:]
    if process.returncode:
        raise UsageError(
            f"run.{key} failed with exit code {process.returncode}" + (f": {last}" if last else ""),
            hint=f"The command was: {command[:_SHOWN_CHARS]}",
        )
