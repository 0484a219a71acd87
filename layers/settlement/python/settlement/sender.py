"""Sending to receivers that nobody vouches for: one HTTP POST with one deadline to an address that was checked.

- The address that is connected to is the address that was checked: the name is resolved once, every result must be
  global, and the connection is made to the result, with TLS verified against the name.
- One deadline holds for resolving, connecting, sending and reading together; each wait gets what is left of it.
- No redirects, no decompression, no more than 16 KiB of an answer.

http.client parses; sockets, deadline and address are ours. Source: DESIGN section 4.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Final
from urllib.parse import SplitResult, urlsplit

from settlement.delivery import (
    ATTEMPT_SECONDS,
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    NoAnswer,
    Refused,
    Request,
    Response,
)

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Resolve = Callable[[str, int], list[str]]

_RESOLVERS: Final = 32
"""A resolver that hangs holds one thread; getaddrinfo itself knows no deadline."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_GLOBAL_IPV6: Final = (ipaddress.IPv6Network("2000::/3"), _NAT64, _MAPPED)
"""IANA gives out global unicast addresses of 2000::/3 only; the other two stand for IPv4 addresses."""
_DOCUMENTATION: Final = ipaddress.IPv6Network("3fff::/20")  # newer than Python's own list of what is not global
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


class UrlNotAllowed(Exception):
    """A notify_url that may not be used; says why."""


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
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UrlNotAllowed("url must not hold a user or a fragment")
    if len(url) > 2048 or not url.isascii() or any(c <= " " or c == "\x7f" or c in '\\"<>' for c in url):
        raise UrlNotAllowed("url must be printable ASCII of at most 2048 characters")
    return parts


def is_global(address: Address) -> bool:
    """Whether an address is out in the internet, whatever IPv6 wraps it in."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    wrapped = _wrapped(address)
    if wrapped is not None and not is_global(wrapped):
        return False
    # A global IPv4 address inside makes no link-local or private IPv6 address global.
    return address.is_global and address not in _DOCUMENTATION and any(address in network for network in _GLOBAL_IPV6)


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
        self._resolve = resolve
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")

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
                    # Closed by its own `with`: wrapping hands the descriptor over.
                    with self._tls.wrap_socket(connection, server_hostname=url.hostname) as secured:
                        return _exchange(secured, url, request, deadline)
                return _exchange(connection, url, request, deadline)
        except UrlNotAllowed as error:
            return Refused(str(error))
        except TimeoutError:
            return NoAnswer("timeout")
        except ssl.SSLCertVerificationError:
            return NoAnswer("certificate not valid")
        except ssl.SSLError:
            return NoAnswer("tls failed")
        except ConnectionRefusedError:
            return NoAnswer("connection refused")
        except socket.gaierror:
            return NoAnswer("name not found")
        except (http.client.HTTPException, ConnectionError, ValueError):
            return NoAnswer("answer cut off or not HTTP")
        except OSError:
            return NoAnswer("not reachable")

    def _checked_addresses(self, url: SplitResult, deadline: float) -> tuple[list[str], int]:
        """The addresses to try. One that is not global refuses the name: it might be chosen next time."""
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        found: Future[list[str]] = self._resolvers.submit(self._resolve, host, port)
        try:
            addresses = found.result(timeout=_left(deadline))
        except UnicodeError as error:  # a label too long, or not IDNA
            raise UrlNotAllowed("url's host is not a name") from error
        finally:
            found.cancel()
        if not addresses:
            raise socket.gaierror
        if not self._allow_local and not all(is_global(ipaddress.ip_address(a.split("%")[0])) for a in addresses):
            raise UrlNotAllowed("url leads to an address that is not public")
        return addresses, port


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
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    http_connection = http.client.HTTPConnection(url.netloc)
    http_connection.sock = _DeadlineSocket(connection, deadline)
    http_connection.request("POST", target, request.body, {**request.headers, "Connection": "close"})
    with http_connection.getresponse() as answer:
        body = answer.read(MAX_ANSWER_BYTES + 1)
        if answer.length and len(body) <= MAX_ANSWER_BYTES:
            raise http.client.IncompleteRead(body, answer.length)
        return Response(
            answer.status, answer.headers.get("Retry-After"), body[:MAX_ANSWER_BYTES], len(body) <= MAX_ANSWER_BYTES
        )


class _DeadlineSocket:
    """What http.client needs of a socket, each wait limited by what is left of the attempt."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(_left(self._deadline))  # sendall counts its timeout over all of its writes
        self._connection.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._connection, self._deadline))

    def close(self) -> None:
        """The connection's owner closes it."""


class _DeadlineReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)
