"""Where notifications may be sent: nothing that is not out in the internet, in whatever wrapping."""

import ipaddress
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.delivery import NoAnswer, Refused, Request
from settlement.sender import Sender, UrlNotAllowed, check_url, is_global

from .receivers import Receiver, receiver

INNER = ["127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]  # noqa: S104
INNER += ["169.254.169.254", "169.254.170.2", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.0.8", "198.18.0.1"]
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

# Hosts that lead to loopback when a C library resolves them by itself; {port} is the trap's.
HOSTS = ["127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0"]
HOSTS += [
    "0.0.0.0",  # noqa: S104
    "00000177.0.0.1",
    "0x7f.1",
    "127.0.0.1.",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "127.000.000.001",
]
HOSTS += [
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
]
HOSTS += ["[2002:7f00:1::]", "[::ffff:0:127.0.0.1]", "[2001:0:808:808:0:0:80ff:fffe]", "[fe80::5efe:127.0.0.1]"]
HOSTS += ["[2606:4700::5efe:7f00:1]", "[::ffff:0x7f.0.0.1]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[::1%25lo]"]
HOSTS += [
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "10.0.0.1",
    "192.168.0.1",
    "100.100.100.200",
]
HOSTS += [
    "metadata.google.internal",
    "a" * 64 + ".example",
    "a..example",
    ".example",
    "user@127.0.0.1",
    "127.0.0.1\\@e.com",
]
HOSTS += [
    "xn--",
    "%6cocalhost",
    "127.0.0.1%2f",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "0x7f000001.",
    "[::1].example",
    "127.0.0.1%00.e.com",
    "[v1.x]127.0.0.1",
]


def offline(host: str, port: int) -> list[str]:
    """Numbers in all their spellings as the C library reads them, and no name but localhost."""
    if host.rstrip(".").lower() == "localhost":
        return ["127.0.0.1"]
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(info[4][0]) for info in infos]


def count_and_close(_: Receiver, __: socket.socket) -> None:
    pass


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_reaches_a_trap_on_loopback(host: str) -> None:
    with receiver(count_and_close) as trap:
        sender = Sender(allow_local=False, resolve=offline)
        for url in (f"https://{host}:{trap.port}/", f"http://{host}:{trap.port}/"):
            answer = sender.send(Request(url, {}, b"{}"))
            assert isinstance(answer, Refused) or answer == NoAnswer("name not found")
        assert trap.connections == 0


INNER_RESULTS = [[address] for address in INNER + INNER_IPV6] + [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]]
INNER_RESULTS += [["2606:4700::1111", "::1"], ["fe80::1%lo"], ["8.8.8.8", "1.1.1.1", "169.254.169.254"]]


@pytest.mark.parametrize("addresses", INNER_RESULTS)
def test_a_name_with_any_inner_address_is_refused_for_good(addresses: list[str]) -> None:
    with receiver(count_and_close) as trap:
        answer = Sender(allow_local=False, resolve=lambda *_: addresses).send(
            Request(trap.url("e.com", "https"), {}, b"")
        )
        assert answer == Refused("url leads to an address that is not public")
        assert trap.connections == 0


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
