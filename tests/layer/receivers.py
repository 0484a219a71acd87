"""Receivers on loopback that answer as badly as asked, and count who came."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread


class Receiver:
    """One listening socket; each connection is handed to `script` with the request that it sent."""

    def __init__(self, script: "Script", host: str = "127.0.0.1", port: int = 0) -> None:
        self._script = script
        self._host = host
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        self.request = b""
        self.stopping = Event()

    def url(self, host: str = "127.0.0.1", scheme: str = "http", path: str = "/notify") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def serve(self) -> None:
        """Until it is stopped, and everybody has been answered."""
        threads: list[Thread] = []
        with self._socket:
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                if self.stopping.is_set():
                    connection.close()
                    break
                threads.append(Thread(target=self._answer, args=(connection,)))
                threads[-1].start()
            for thread in threads:
                thread.join(5)

    def stop(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            socket.create_connection((self._host, self.port), 1).close()  # wakes accept

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, suppress(OSError):
            self._script(self, connection)


type Script = Callable[[Receiver, socket.socket], None]


@contextmanager
def receiver(script: Script, host: str = "127.0.0.1", port: int = 0) -> Iterator[Receiver]:
    made = Receiver(script, host, port)
    server = Thread(target=made.serve)
    server.start()
    try:
        yield made
    finally:
        made.stop()
        server.join(10)


def read_request(receiver: Receiver, connection: socket.socket) -> None:
    """Reads one request whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += _more(connection)
    receiver.request = head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError
    return received


def saying(answer: bytes) -> Script:
    """Reads the request, says this, and closes."""

    def script(receiver: Receiver, connection: socket.socket) -> None:
        read_request(receiver, connection)
        connection.sendall(answer)

    return script


def dripping(answer: bytes, pause_seconds: float) -> Script:
    """Says it one byte at a time."""

    def script(receiver: Receiver, connection: socket.socket) -> None:
        read_request(receiver, connection)
        for at in range(len(answer)):
            connection.sendall(answer[at : at + 1])
            if receiver.stopping.wait(pause_seconds):
                return

    return script


def endless(head: bytes, chunk: bytes) -> Script:
    def script(receiver: Receiver, connection: socket.socket) -> None:
        read_request(receiver, connection)
        connection.sendall(head)
        while not receiver.stopping.is_set():
            connection.sendall(chunk)

    return script


def silent(receiver: Receiver, _: socket.socket) -> None:
    """Accepts, and says nothing."""
    receiver.stopping.wait(10)


def over_tls(context: ssl.SSLContext, script: Script) -> Script:
    """The same, after a handshake."""

    def secured(receiver: Receiver, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as speaking:
            script(receiver, speaking)

    return secured
