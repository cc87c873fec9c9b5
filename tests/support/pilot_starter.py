"""Starts `pilot` commands as children of one process that has imported pilot once.

Most of what a short command costs is the start of Python and the imports: a quarter of a second of
CPU, thousands of times in a run of all tests. Each command is still a process of its own, with its
own folder, environment, arguments and descriptors. Tests of the start itself, of signals and of
terminals start the real program.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

PILOT = str(Path(sys.executable).with_name("pilot"))
_OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "PATH")
"""What Python, or the C library, reads when a process starts."""

compiled: Path | None = None
"""The folder of what was compiled before (`compiled_once.py`), to be set before the first start."""

_guard = threading.Lock()
_server: subprocess.Popen[bytes] | None = None
_control: socket.socket | None = None


def run_pilot(
    *words: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """`pilot words...` in the folder `cwd`, without a terminal and with nothing to read.

    Raises `subprocess.TimeoutExpired`; the command is killed then.
    """
    environment = dict(os.environ if env is None else env)
    command = [PILOT, *words]
    if _start(environment) != _start(os.environ):
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        code = _ask(list(words), cwd, environment, (out.fileno(), err.fileno()), timeout)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(command, code, *texts)


def _start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(_OF_THE_START)}


def _ask(
    words: list[str], cwd: Path, env: dict[str, str], outputs: tuple[int, int], timeout: float
) -> int:
    status, status_end = os.pipe()
    request = {"words": words, "cwd": str(cwd), "env": env, "umask": _umask()}
    try:
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.flush()
            with _guard:
                socket.send_fds(_running(), [b"x"], [file.fileno(), *outputs, status_end])
        os.close(status_end)
        pid = int(_line(status, 30))
        try:
            return int(_line(status, timeout))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["pilot", *words], timeout) from None
    finally:
        os.close(status)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _line(pipe: int, timeout: float) -> bytes:
    """What stands up to the next line end. Raises `TimeoutError`, or `EOFError` at the end."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([pipe], [], [], timeout)[0]:
            raise TimeoutError
        data = os.read(pipe, 1)
        if not data:
            raise EOFError("the process that starts pilot has ended")
        line += data
    return line


def _running() -> socket.socket:
    """The socket of the process that starts the commands, which is started where needed."""
    global _server, _control
    if _control is None:
        _control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            _server = subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    str(other.fileno()),
                    *([] if compiled is None else [compiled]),
                ],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(_end)
    return _control


def _end() -> None:
    assert _control is not None
    assert _server is not None
    _control.close()
    _server.wait()


def _serve(control: socket.socket) -> None:
    """Starts a command for each message, and writes its process number and its exit code."""
    from compiled_once import compile_once

    from pilotcli.cli.commands import COMMANDS
    from pilotcli.cli.main import pilot_command

    for folder in sys.argv[2:]:
        compile_once(Path(folder))
    sys.path[0] = str(Path(PILOT).parent)
    for module in sorted({place.partition(":")[0] for place, _ in COMMANDS.values()}):
        import_module(f"pilotcli.cli.{module}")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        pilot_command().main(["runs", "list", "--help"])  # imports what typer needs
    gc.freeze()
    wake, wake_end = os.pipe()
    os.set_blocking(wake_end, False)
    signal.set_wakeup_fd(wake_end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pipes: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            os.read(wake, 1024)
            _report_ended(pipes)
        if control in ready:
            _, fds, _, _ = socket.recv_fds(control, 1, 4)
            if not fds:
                return
            file, out, err, status = fds
            pid = os.fork()
            if pid == 0:
                control.close()
                for pipe in (wake, wake_end, status, *pipes.values()):
                    os.close(pipe)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become(file, out, err)
            for fd in (file, out, err):
                os.close(fd)
            os.write(status, b"%d\n" % pid)
            pipes[pid] = status


def _report_ended(pipes: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, state = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            status = pipes.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(status, b"%d\n" % os.waitstatus_to_exitcode(state))
            os.close(status)


def _become(file: int, out: int, err: int) -> None:
    """Makes this process the command; does not return."""
    from pilotcli.cli.main import main

    code = 70
    try:
        with os.fdopen(file, "rb") as request_file:
            request_file.seek(0)
            request = json.load(request_file)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        os.chdir(request["cwd"])
        os.umask(request["umask"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = [PILOT, *request["words"]]
        main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 0
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        _serve(given)
