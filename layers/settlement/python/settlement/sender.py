"""Sending to receivers that nobody vouches for: one HTTP POST with one deadline to an address that was checked.

- The address that is connected to is the address that was checked: the name is resolved once, every result must be
  global, and the connection is made to the result, with TLS verified against the name.
- One deadline holds for resolving, connecting, sending and reading together; each wait gets what is left of it.
- No redirects, no decompression, no more than 16 KiB of a body and 128 KiB of whatever is around it.
- A connection for each attempt: none is kept, so nothing is ever sent twice behind the ledger's back.

http.client parses; sockets, deadline and address are ours. Source: DESIGN section 4.
"""

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property, partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final
from urllib.parse import SplitResult, urlsplit

from settlement.delivery import (
    ATTEMPT_SECONDS,
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    TIMEOUT,
    NoAnswer,
    Refused,
    Request,
    Response,
)

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Resolve = Callable[[str, int], list[str]]
type _Addresses = Future[list[str]]

_MAX_RECEIVED_BYTES: Final = 128 * 1024
"""Of one answer whole: interim answers, headers, framing, body. http.client would take 6 MiB of headers, and chunks'
extensions without end. The smallest chunks take six bytes for one of the body."""
_MAX_INTERIM_ANSWERS: Final = 8
"""Of 101 to 199 before the answer itself; http.client passes over 100 alone."""
_NETLOC: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_GLOBAL_IPV6: Final = (ipaddress.IPv6Network("2000::/3"), _NAT64, _MAPPED)
"""IANA gives out global unicast addresses of 2000::/3 only; the other two stand for IPv4 addresses."""
_NO_RECEIVERS: Final = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # global by the registry, an Azure host's own metadata by its use
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments: some are global, none is a receiver
    ipaddress.IPv6Network("2001::/23"),  # the same of IPv6
    ipaddress.IPv6Network("3fff::/20"),  # documentation; newer than Python's own list of what is not global
)
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_KEPT_THREADS: Final = 10
"""As many look-ups as a batch of the queue has messages."""


class UrlNotAllowed(Exception):
    """A notify_url that may not be used; says why."""


class _AnswerTooLarge(Exception):
    """More than _MAX_RECEIVED_BYTES."""


_NO_ANSWER: Final[dict[type[Exception], str]] = {
    TimeoutError: TIMEOUT,
    ssl.SSLCertVerificationError: "certificate not valid",
    ssl.SSLError: "tls failed",
    ConnectionRefusedError: "connection refused",
    socket.gaierror: "name not found",
    _AnswerTooLarge: "answer too large",
    http.client.HTTPException: "answer cut off or not HTTP",
    ConnectionError: "answer cut off or not HTTP",
    ValueError: "answer cut off or not HTTP",
    OSError: "not reachable",
}
"""What an attempt that met one of these says. The first that fits counts: most of them are OSErrors too."""


def check_url(url: str, *, allow_local: bool) -> SplitResult:
    """The parts of a notify_url. https only, unless `allow_local`; raises UrlNotAllowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlNotAllowed("url is malformed") from error
    if parts.scheme not in ({"https", "http"} if allow_local else {"https"}):
        raise UrlNotAllowed("url must be https")
    if not parts.hostname or port == 0:
        raise UrlNotAllowed("url has no host")
    if parts.username is not None or parts.password is not None or "#" in url:  # an empty fragment is one
        raise UrlNotAllowed("url must not hold a user or a fragment")
    if len(url) > 2048 or not url.isascii() or any(c <= " " or c == "\x7f" or c in '\\"<>' for c in url):
        raise UrlNotAllowed("url must be printable ASCII of at most 2048 characters")
    if not _NETLOC.fullmatch(parts.netloc):
        raise UrlNotAllowed("url's host is neither a name nor an address")
    return parts


def is_global(address: Address) -> bool:
    """Whether an address is out in the internet, whatever IPv6 wraps it in."""
    if not address.is_global or address.is_multicast or any(address in network for network in _NO_RECEIVERS):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    wrapped = _wrapped(address)
    return (wrapped is None or is_global(wrapped)) and any(address in network for network in _GLOBAL_IPV6)


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside: mapped, compatible, NAT64, 6to4, Teredo, ISATAP."""
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (int(address) >> 32) == 0 or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return low
    return None


def _resolve(host: str, port: int) -> list[str]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class Sender:
    """Sends requests, from several threads at once if need be."""

    def __init__(self, *, allow_local: bool, resolve: Resolve = _resolve) -> None:
        self._allow_local = allow_local
        self._look_ups = _LookUps(resolve)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()  # one for all: making one costs ten times a connection

    def send(self, request: Request) -> Response | NoAnswer | Refused:
        deadline = time.monotonic() + ATTEMPT_SECONDS
        try:
            url = check_url(request.url, allow_local=self._allow_local)
            with _connect(*self._checked_addresses(url, deadline), deadline) as connection:
                if url.scheme == "https":
                    connection.settimeout(_left(deadline))
                    name = (url.hostname or "").rstrip(".")  # certificates hold names without the root's dot
                    # Closed by its own `with`: wrapping hands the descriptor over.
                    with self._tls.wrap_socket(connection, server_hostname=name) as secured:
                        return _exchange(secured, url, request, deadline)
                return _exchange(connection, url, request, deadline)
        except UrlNotAllowed as error:
            return Refused(str(error))
        except tuple(_NO_ANSWER) as error:
            return NoAnswer(next(said for kind, said in _NO_ANSWER.items() if isinstance(error, kind)))

    def _checked_addresses(self, url: SplitResult, deadline: float) -> tuple[list[str], int]:
        """The addresses to try. One that is not global refuses the name: it might be chosen next time."""
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = [str(ipaddress.ip_address(host))]
        except ValueError:
            addresses = self._resolved(host, port, deadline)
        if not self._allow_local and not all(is_global(ipaddress.ip_address(a.split("%")[0])) for a in addresses):
            raise UrlNotAllowed("url leads to an address that is not public")
        return addresses, port

    def _resolved(self, host: str, port: int, deadline: float) -> list[str]:
        try:
            addresses = self._look_ups.of(host, port).result(timeout=_left(deadline))
        except UnicodeError as error:  # a label too long, or not IDNA
            raise UrlNotAllowed("url's host is not a name") from error
        if not addresses:
            raise socket.gaierror
        return addresses


class _LookUps:
    """Looks names up. getaddrinfo knows no deadline: a thread waits for it, which the attempt can leave behind.

    Of one name one look-up at a time is under way, shared by all who ask meanwhile: a name whose look-up hangs holds
    one thread, however often it is asked for, and none that another name needs. Threads that are done wait for the next
    name, up to _KEPT_THREADS of them: starting one costs more than the look-up. No process waits for any.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._lock = Lock()
        self._under_way: dict[str, _Addresses] = {}
        self._asked: SimpleQueue[tuple[str, int, _Addresses]] = SimpleQueue()
        self._free_threads = 0
        """Kept threads that nothing was put into the queue for."""

    def of(self, host: str, port: int) -> "_Addresses":
        """What will hold a name's addresses, or what the look-up raised."""
        with self._lock:
            found = self._under_way.get(host)
            if found is None:
                found = Future()
                if self._free_threads:
                    self._free_threads -= 1
                    self._asked.put((host, port, found))
                else:
                    Thread(target=self._work, args=(host, port, found), name="look-up", daemon=True).start()
                self._under_way[host] = found
            return found

    def _work(self, host: str, port: int, found: "_Addresses") -> None:
        kept = True
        while kept:
            try:
                tell = partial(found.set_result, self._resolve(host, port))
            except Exception as error:  # noqa: BLE001  # raised where it is waited for
                tell = partial(found.set_exception, error)
            with self._lock:
                del self._under_way[host]  # before it is told: who asks afterwards gets an answer of their own
                kept = self._free_threads < _KEPT_THREADS
                self._free_threads += kept
            tell()
            if kept:
                host, port, found = self._asked.get()


def _left(deadline: float) -> float:
    """Seconds left, never 0 (which would mean: do not wait). Raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """The first connection that comes about: a name may have an IPv6 address that cannot be reached from here."""
    connect_deadline = min(deadline, time.monotonic() + CONNECT_SECONDS)
    for address in addresses[:-1]:
        try:
            return _connect_to(address, port, connect_deadline)
        except OSError:
            continue
    return _connect_to(addresses[-1], port, connect_deadline)


def _connect_to(address: str, port: int, deadline: float) -> socket.socket:
    connection = socket.create_connection((address, port), timeout=_left(deadline))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _exchange(connection: socket.socket, url: SplitResult, request: Request, deadline: float) -> Response:
    connection.settimeout(_left(deadline))  # sendall counts its timeout over all of its writes, with TLS too
    connection.sendall(_request_bytes(url, request))
    # http.client wants of a socket no more than makefile.
    with http.client.HTTPResponse(_Received(connection, deadline), method="POST") as answer:  # type: ignore[arg-type]
        answer.begin()
        for _ in range(_MAX_INTERIM_ANSWERS):
            if answer.status < 200:
                answer.headers = None  # type: ignore[assignment]
                answer.begin()
        lengths = {length.strip() for length in answer.headers.get_all("Content-Length", ())}
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise http.client.HTTPException("Content-Length")  # http.client takes the first, or none
        body = answer.read(MAX_ANSWER_BYTES + 1)
        if answer.length and len(body) <= MAX_ANSWER_BYTES:
            raise http.client.IncompleteRead(body, answer.length)
        return Response(
            answer.status, answer.headers.get("Retry-After"), body[:MAX_ANSWER_BYTES], len(body) <= MAX_ANSWER_BYTES
        )


def _request_bytes(url: SplitResult, request: Request) -> bytes:
    """Head and body in one, for one packet and one TLS record."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    framing = {"Content-Length": str(len(request.body)), "Accept-Encoding": "identity", "Connection": "close"}
    fields = {"Host": url.netloc, **request.headers, **framing}
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise RuntimeError("a header of ours is not printable ASCII")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


class _Received(io.RawIOBase):
    """What comes back, each wait limited by what is left of the attempt."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._allowed_bytes = _MAX_RECEIVED_BYTES

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self._allowed_bytes -= count
        if self._allowed_bytes < 0:
            raise _AnswerTooLarge
        return count
