"""Lines to a server that can be cut."""

import socket
import threading
from contextlib import suppress


class Cut:
    """A line to the broker that can be cut: a small TCP relay in this process."""

    def __init__(self, broker_url: str) -> None:
        credentials, address = broker_url.rsplit("@", 1)
        host, port = address.split("/")[0].split(":")
        self._broker = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[socket.socket] = []
        self._muted = False
        self.url = f"{credentials}@127.0.0.1:{self._listener.getsockname()[1]}/" + "/".join(address.split("/")[1:])
        threading.Thread(target=self._serve, daemon=True).start()

    def mute(self) -> None:
        """From here on the server's answers are swallowed; what is sent to it still arrives."""
        self._muted = True

    def now(self) -> None:
        for line in self._lines:
            with suppress(OSError):  # the other side was quicker
                line.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "Cut":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for line in self._lines:
            line.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._broker)
            self._lines += [near, far]
            for way in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        try:
            while chunk := source.recv(65536):
                if not (answers and self._muted):
                    target.sendall(chunk)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
