"""Where notifications may be sent: nothing that is not out in the internet, in whatever wrapping."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.delivery import GivenUp, NoAnswer, Refused, Request, Response, Retry, judge
from settlement.sender import Sender, UrlNotAllowed, check_url, is_global

from .receivers import Receiver, receiver, saying

INNER = ["127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]  # noqa: S104
INNER += [
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "198.18.0.1",
    "168.63.129.16",
]
INNER += ["192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"]
OUTER = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "172.32.0.1",
    "192.169.0.1",
    "223.255.255.255",
]

INNER_IPV6 = [
    "::",
    "::1",
    "::2",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "fc00::1",
    "fdff::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
]
INNER_IPV6 += [
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "64:ff9b:1::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:1::1",
    "2001:20::1",
]
INNER_IPV6 += [
    "1::1",
    "e000::1",
    "fe80::5efe:808:808",
    "fd00::5efe:808:808",
    "2001:db8::5efe:808:808",
    "fe80::200:5efe:808:808",
]
INNER_IPV6 += ["::ffff:0:808:808", "::8.8.8.8", "ff0e::5efe:808:808", "3fff::5efe:808:808", "2002:808:808::1"]
OUTER_IPV6 = [
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00::1",
    "2400::1",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]
OUTER_IPV6 += ["2606:4700::5efe:808:808"]


def wrappings(inner: str) -> dict[str, ipaddress.IPv6Address]:
    """An IPv4 address in each of the IPv6 forms that some host on the way unwraps."""
    low = int(ipaddress.IPv4Address(inner))
    forms = {
        "mapped": 0xFFFF << 32 | low,
        "translated": 0xFFFF << 48 | low,
        "compatible": low,
        "NAT64": 0x64FF9B << 96 | low,
        "NAT64 local": 0x64FF9B0001 << 80 | low,
        "6to4": 0x2002 << 112 | low << 80 | 1,
        "Teredo": 0x20010000 << 96 | 0x08080808 << 64 | (low ^ 0xFFFFFFFF),
        "Teredo's server": 0x20010000 << 96 | low << 64 | 0x08080808,
        "ISATAP": 0x26064700 << 96 | 0x5EFE << 32 | low,
        "ISATAP of a global address": 0x26064700 << 96 | 0x2005EFE << 32 | low,
        "ISATAP link-local": 0xFE80 << 112 | 0x5EFE << 32 | low,
    }
    return {name: ipaddress.IPv6Address(number) for name, number in forms.items()}


@pytest.mark.parametrize("address", INNER + INNER_IPV6)
def test_an_address_that_is_not_out_in_the_internet_is_not_global(address: str) -> None:
    assert not is_global(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTER + OUTER_IPV6)
def test_an_address_out_in_the_internet_is_global(address: str) -> None:
    assert is_global(ipaddress.ip_address(address))


@pytest.mark.parametrize("inner", INNER)
def test_no_wrapping_makes_an_inner_address_global(inner: str) -> None:
    assert [name for name, address in wrappings(inner).items() if is_global(address)] == []


@settings(max_examples=1000)
@given(st.integers(0, 2**32 - 1))
@example(int(ipaddress.IPv4Address("169.254.169.254")))
def test_a_wrapped_address_is_global_only_where_what_it_wraps_is(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    for address in wrappings(str(inner)).values():
        assert not is_global(address) or is_global(inner)


@settings(max_examples=500)
@given(st.ip_addresses(v=6))
def test_what_is_global_is_so_for_the_standard_library_too_and_no_multicast(address: ipaddress.IPv6Address) -> None:
    if is_global(address):
        assert address.is_global
        assert not any((address.is_multicast, address.is_site_local, address.is_link_local, address.is_loopback))


# ---------------------------------------------------------------------------------------------------------------- URLs

ALLOWED = [
    "https://example.com",
    "https://example.com/",
    "https://example.com:8443/a/b?c=d&e=%20",
    "https://EXAMPLE.com/x",
]
ALLOWED += [
    "https://xn--fiqs8s.example/",
    "https://example.com./",
    "https://1.1.1.1/",
    "https://[2606:4700::1111]:443/x",
]
ALLOWED += ["HTTPS://example.com/"]

MALFORMED = [
    "",
    "example.com",
    "//example.com/",
    "https:",
    "https://",
    "https:///path",
    "https://:443/",
    "https:example.com",
]
MALFORMED += [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "ws://e.com/",
]
MALFORMED += [
    "javascript:alert(1)",
    "data:,x",
    "https+unix://x",
    "https://example.com:0/",
    "https://example.com:65536/",
]
MALFORMED += ["https://example.com:-1/", "https://example.com:x/", "https://e.com:٤٤٣/", "https://user@example.com/"]
MALFORMED += [
    "https://user:password@example.com/",
    "https://@example.com/",
    "https://:@example.com/",
    "https://e.com@127.0.0.1/",
]
MALFORMED += ["https://127.0.0.1#@example.com/", "https://example.com/#part", "https://example.com\\@127.0.0.1/"]
MALFORMED += [
    "https://example.com\\.evil/",
    "https://exa mple.com/",
    "https://example.com/a b",
    "https://example.com/\r\nX: y",
]
MALFORMED += ["https://example.com/\t", "https://exam\nple.com/", "\nhttps://example.com/", " https://example.com/"]
MALFORMED += [
    "https://example.com/ ",
    "https://example.com/\x00",
    "https://example.com/\x7f",
    "https://例え.jp/",
    "https://ｅ.com/",
]
MALFORMED += [
    "https://①②⑦.0.0.1/",
    "https://example.com/é",
    "https://[::1/",
    "https://::1]/",
    "https://[fe80::1%25eth0",
    'https://e.com/"',
]
MALFORMED += ["https://e.com/<x>", "https://e.com/" + "a" * 2048, "https://[127.0.0.1/", "https://[127.0.0.1]/"]


@pytest.mark.parametrize("url", ALLOWED)
def test_a_plain_https_url_may_be_used(url: str) -> None:
    assert check_url(url, allow_local=False).scheme == "https"


@pytest.mark.parametrize("url", MALFORMED)
def test_any_other_url_says_why_not(url: str) -> None:
    with pytest.raises(UrlNotAllowed, match=r"\Aurl "):
        check_url(url, allow_local=False)


@settings(max_examples=500)
@given(st.text() | st.text(alphabet="htps:/[]@#?%.127\\ lo", max_size=30).map("https://".__add__))
def test_arbitrary_text_is_a_url_or_says_why_not_and_nothing_else(url: str) -> None:
    try:
        parts = check_url(url, allow_local=False)
    except UrlNotAllowed:
        return
    assert parts.scheme == "https"
    assert parts.hostname is not None
    assert parts.username is None


def test_a_local_deployment_may_use_http() -> None:
    assert check_url("http://127.0.0.1:8080/x", allow_local=True).port == 8080
    with pytest.raises(UrlNotAllowed):
        check_url("ftp://127.0.0.1/", allow_local=True)


# -------------------------------------------------------------------------------------------------------- real sends

NAMES = {
    "localhost": ["127.0.0.1"],
    "a.localhost": ["::1", "127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-loopback": ["::1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata.internal": ["fd00:ec2::254"],
    "mixed.example": ["8.8.8.8", "127.0.0.1"],
    "mixed6.example": ["2606:4700::1111", "::1"],
    "wrapped.example": ["64:ff9b::7f00:1"],
    "zoned.example": ["fe80::1%lo"],
    "xn--n3h.example": ["127.0.0.1"],
}
"""Names with answers that their owners chose."""
REFUSED: dict[str, list[str]] = {
    "loopback, as C libraries read numbers": [
        "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "017700000001", "0x7f000001", "0X7F000001",
        "0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "0177.1", "00000177.0.0.1", "127.000.000.001", "0x7f.0.0x0.01",
    ],
    "this host": ["0", "0.0.0.0", "0x0", "00", "0.1"],  # noqa: S104
    "a dot at the end": ["127.0.0.1.", "2130706433.", "0x7f000001.", "0.", "localhost.", "169.254.169.254."],
    "names": [*NAMES, "LOCALHOST", "LocalHost.", "A.LOCALHOST", "Metadata.Google.Internal", "mixed.example."],
    "loopback, IPv6": [
        "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]", "[::ffff:127.0.0.1]", "[::FFFF:7F00:1]",
        "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[::ffff:0.0.0.0]",
    ],
    "loopback, wrapped": [
        "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::127.0.0.1]", "[64:ff9b:1:7f00:0:100::]",
        "[2002:7f00:1::]", "[2002:7f00:1::1]", "[2001:0:808:808:0:0:80ff:fffe]", "[2001:0:7f00:1::808:808]",
        "[fe80::5efe:127.0.0.1]", "[2606:4700::5efe:7f00:1]", "[2606:4700::200:5efe:7f00:1]",
    ],
    "metadata": [
        "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.254.170.2",
        "169.254.170.23", "169.254.169.123", "[fd00:ec2::254]", "[fd00:ec2::23]", "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "100.100.100.200", "192.0.0.192", "168.63.129.16",
        "[::ffff:168.63.129.16]", "[64:ff9b::168.63.129.16]",
    ],
    "private, shared, reserved": [
        "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.168.257", "100.64.0.1",
        "100.127.255.255", "192.0.0.1", "192.0.0.9", "198.18.0.1", "198.19.255.255", "192.0.2.1", "198.51.100.1",
        "203.0.113.1", "240.0.0.1", "255.255.255.255", "4294967295", "224.0.0.1", "239.255.255.250", "232.1.1.1",
        "[fc00::1]", "[fdff::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]",
        "[2001:2::1]", "[2001:1::1]", "[100::1]", "[5f00::1]",
    ],
    "not a host": [
        "127.0.0.1%2f", "127.0.0.1%00.e.com", "%6cocalhost", "%31%32%37.0.0.1", "localhost%2e", "[::1%25lo]",
        "[::1%lo]",
        "[fe80::1%25eth0]", "127。0。0。1", "127．0．0．1", "１２７.0.0.1", "①②⑦.0.0.1", "ｌocalhost", "ⓛocalhost",
        "localhost\u00ad", "[::1].example", "e.com[::1]", "[v1.x]127.0.0.1", "[::ffff:0x7f.0.0.1]", "[127.0.0.1]",
        "a..example", ".example", "a" * 64 + ".example", "127.0.0.1,e.com", "127.0.0.1;e.com", "{127.0.0.1}", "e.com'",
    ],
    "a user": ["user@127.0.0.1", "user:password@127.0.0.1", "8.8.8.8@127.0.0.1", "@127.0.0.1", "a@localhost"],
    "two readings": [
        "127.0.0.1\\@e.com", "e.com\\@127.0.0.1", "127.0.0.1\t", "127.0.0.1\n", "127.0.0.1 ", "e.com#@127.0.0.1",
    ],
}  # fmt: skip
URLS = [f"https://{host}:PORT/notify" for hosts in REFUSED.values() for host in hosts]
URLS += [
    "http://127.0.0.1:PORT/",
    "HTTP://localhost:PORT/",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_x",
]
URLS += ["//127.0.0.1:PORT/", "https:127.0.0.1:PORT", "https:/127.0.0.1:PORT/", "https:\\\\127.0.0.1:PORT\\"]
URLS += [
    "https://127.0.0.1:PORT",
    "https://127.0.0.1:PORT?x",
    "https://127.0.0.1:0PORT/",
    "https://127.0.0.1:PORT#",
]


def offline(host: str, port: int) -> list[str]:
    """The most obliging resolver: the names above, numbers as the C library reads them, with a dot at the end too."""
    host = host.rstrip(".")
    if host in NAMES:
        return NAMES[host]
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(info[4][0]) for info in infos]


def count_and_close(_: Receiver, __: socket.socket) -> None:
    pass


class Trap:
    """Listens on loopback, IPv4 and IPv6 at one port, and keeps every connection within it."""

    def __init__(self, listeners: list[Receiver]) -> None:
        self.listeners = listeners
        self.port = listeners[0].port
        self.tried: list[str] = []

    @property
    def connections(self) -> int:
        return sum(listener.connections for listener in self.listeners)


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    with ExitStack() as stack:
        four = stack.enter_context(receiver(count_and_close))
        listeners = [four]
        if socket.has_dualstack_ipv6():
            listeners.append(stack.enter_context(receiver(count_and_close, "::1", four.port)))
        made = Trap(listeners)
        connect = socket.create_connection

        def connect_within(address: tuple[str, int], *rest: Any, **named: Any) -> socket.socket:
            made.tried.append(address[0])
            if not ipaddress.ip_address(address[0]).is_loopback:
                raise ConnectionRefusedError  # a test that fails must not leave the machine either
            return connect(address, *rest, **named)

        with monkeypatch.context() as patched:
            patched.setattr("settlement.sender.socket.create_connection", connect_within)
            yield made


def test_the_table_is_as_long_as_promised() -> None:
    assert len(set(URLS)) == len(URLS) >= 80


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_leads_inside_is_refused_for_good_and_reaches_no_trap(url: str, trap: Trap) -> None:
    answer = Sender(allow_local=False, resolve=offline).send(Request(url.replace("PORT", str(trap.port)), {}, b"{}"))
    assert isinstance(answer, Refused)
    assert judge(answer).outcome == GivenUp(answer.error, "refused")
    assert (trap.tried, trap.connections) == ([], 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "a.localhost", "2130706433"])
def test_the_trap_catches_what_a_local_deployment_may_do(host: str, trap: Trap) -> None:
    if host == "[::1]" and len(trap.listeners) == 1:
        pytest.skip("this machine has no IPv6")
    url = f"http://{host}:{trap.port}/"
    assert isinstance(Sender(allow_local=True, resolve=offline).send(Request(url, {}, b"{}")), NoAnswer)
    assert trap.connections == 1


REDIRECTS = [
    "https://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/",
    "//localhost:PORT/",
    "http://[::1]:PORT/",
    "/x",
]


@pytest.mark.parametrize("location", [*REDIRECTS, "http://169.254.169.254/latest/meta-data/"])
@pytest.mark.parametrize("head", ["201 Created", "300 Multiple Choices", "301 Moved Permanently", "302 Found",
                                  "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"])  # fmt: skip
def test_a_redirect_leads_nowhere(head: str, location: str, trap: Trap) -> None:
    to = location.replace("PORT", str(trap.port))
    said = f"HTTP/1.1 {head}\r\nLocation: {to}\r\nRefresh: 0; url={to}\r\nContent-Length: 0\r\n\r\n"
    with receiver(saying(said.encode())) as first:
        answer = Sender(allow_local=True).send(Request(first.url(), {}, b"{}"))
        assert answer == Response(int(head[:3]), None, b"", complete=True)
        assert isinstance(judge(answer).outcome, Retry)
        assert first.connections == 1
        assert (trap.tried, trap.connections) == (["127.0.0.1"], 0)  # the first receiver's own


def test_a_name_that_is_bound_anew_between_check_and_connect_gains_nothing(trap: Trap) -> None:
    bindings = cycle([["8.8.8.8"], ["127.0.0.1"], ["2606:4700::1111"], ["::1"]])
    sender = Sender(allow_local=False, resolve=lambda *_: next(bindings))
    for _ in range(20):
        sender.send(Request(f"https://rebinding.example:{trap.port}/", {}, b"{}"))
    assert trap.tried == ["8.8.8.8", "2606:4700::1111"] * 5
    assert trap.connections == 0


INNER_RESULTS = [[address] for address in INNER + INNER_IPV6] + [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]]
INNER_RESULTS += [["2606:4700::1111", "::1"], ["fe80::1%lo"], ["8.8.8.8", "1.1.1.1", "169.254.169.254"]]


@pytest.mark.parametrize("addresses", INNER_RESULTS)
def test_a_name_with_any_inner_address_is_refused_for_good(addresses: list[str], trap: Trap) -> None:
    sender = Sender(allow_local=False, resolve=lambda *_: addresses)
    answer = sender.send(Request(f"https://e.com:{trap.port}/", {}, b""))
    assert answer == Refused("url leads to an address that is not public")
    assert (trap.tried, trap.connections) == ([], 0)


def test_a_name_is_resolved_once_and_what_was_checked_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    connected = []

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("settlement.sender.socket.create_connection", connect)
    sender = Sender(allow_local=False, resolve=lambda *_: next(answers))
    assert sender.send(Request("https://rebinding.example/x", {}, b"")) == NoAnswer("connection refused")
    assert connected == [("8.8.8.8", 443)]
    assert isinstance(sender.send(Request("https://rebinding.example/x", {}, b"")), Refused)
    assert len(connected) == 1
