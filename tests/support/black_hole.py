"""A network that may stop delivering: a proxy that swallows bytes when it is told to."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from types import TracebackType


class BlackHole:
    """Listens on a port of this machine and hands on to a server's socket.

    Once `swallows` is set, what comes from either side is read and thrown away, and connections
    stay open: to each side the other one seems to be thinking.
    """

    def __init__(self, server: str) -> None:
        self.swallows = threading.Event()
        self._server = server
        self._left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> BlackHole:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._left.is_set():
            if not select.select([self._listener], [], [], 0.1)[0]:
                continue
            client, _ = self._listener.accept()
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            other = {client: server, server: client}
            with contextlib.suppress(OSError):
                while not self._left.is_set():
                    for one in select.select(list(other), [], [], 0.1)[0]:
                        data = one.recv(1 << 16)
                        if not data:
                            return
                        if not self.swallows.is_set():
                            other[one].sendall(data)
