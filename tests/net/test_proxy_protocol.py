"""PROXY protocol headers of both versions, against tables of bytes and a second implementation."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxyprotocol.result import ProxyResultIPv4, ProxyResultIPv6
from proxyprotocol.tlv import ProxyProtocolSSLTLV, ProxyProtocolTLV
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from mqttd.identity import ProxyHeader
from mqttd.net.proxy_protocol import InvalidProxyHeader, ProxyParser
from mqttd.net.proxy_v2 import crc32c

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
INET = bytes((192, 0, 2, 1, 198, 51, 100, 7)) + struct.pack("!HH", 4711, 8883)
SOURCE = ("192.0.2.1", 4711)
DESTINATION = ("198.51.100.7", 8883)
MQTT = b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a"


def v2(body: bytes = INET, family: int = 0x11, command: int = 0x21) -> bytes:
    """A version 2 header."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    """One field."""
    return struct.pack("!BH", kind, len(value)) + value


def tls(*inner: bytes, client: int = 0x03, verify: int = 0) -> bytes:
    """An SSL field."""
    return tlv(0x20, struct.pack("!BI", client, verify) + b"".join(inner))


def parse(data: bytes) -> ProxyHeader:
    """The header of ``data``, which has to be all of it."""
    result = ProxyParser().feed(data)
    assert result is not None
    assert result[1] == b""
    return result[0]


def refusal(data: bytes) -> str:
    """The reason ``data`` is refused for."""
    with pytest.raises(InvalidProxyHeader) as caught:
        ProxyParser().feed(data)
    return caught.value.reason


LONGEST = b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n"


@pytest.mark.parametrize(
    ("line", "source", "destination"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 8883\r\n", SOURCE, DESTINATION),
        (
            b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            ("0.0.0.0", 0),
            ("255.255.255.255", 65535),
        ),
        (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", ("2001:db8::1", 1), ("::1", 2)),
        (LONGEST, (":".join(["ffff"] * 8), 65535), (":".join(["ffff"] * 8), 65535)),
        (b"PROXY UNKNOWN\r\n", None, None),
        (b"PROXY UNKNOWN ffff::1 whatever 1\r\n", None, None),
        (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None, None),
    ],
)
def test_version_1(
    line: bytes, source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> None:
    assert len(line) <= 107
    assert parse(line) == ProxyHeader(source=source, destination=destination)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY \r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY unknown\r\n",
        b"PROXY  TCP4 192.0.2.1 198.51.100.7 4711 8883\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.7 4711 8883\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 8883 \r\n",
        b"PROXY TCP4 192.0.2.1  198.51.100.7 4711 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 8883\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 8883\n\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 8883\r\r\n",
        b"PROXY UNKNOWN\rx\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 -1 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 +1 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 0x1 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 1_0 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 04711 8883\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 \r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.7 4711 8883\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.7 4711 8883\r\n",
        b"PROXY TCP4 2001:db8::1 198.51.100.7 4711 8883\r\n",
        b"PROXY TCP6 192.0.2.1 ::1 4711 8883\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 4711 8883\r\n",
        b"PROXY TCP4 \xb9\xb2.0.2.1 198.51.100.7 4711 8883\r\n",
        b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
        b"PROXY UNKNOWN " + b"f" * 93,
    ],
)
def test_bad_version_1(line: bytes) -> None:
    assert "version 1" in refusal(line)


def test_a_line_that_does_not_end_is_refused_at_its_limit() -> None:
    parser = ProxyParser()
    assert parser.feed(b"PROXY UNKNOWN ") is None
    assert parser.feed(b"x" * 92) is None
    with pytest.raises(InvalidProxyHeader, match="107"):
        parser.feed(b"x")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (MQTT, "an MQTT CONNECT packet"),
        (b"\x16\x03\x01\x02\x00", "a TLS ClientHello"),
        (b"GET /mqtt HTTP/1.1\r\n", "an HTTP request"),
    ],
)
def test_another_protocol_is_named(data: bytes, name: str) -> None:
    assert f"the first bytes are {name}, not a PROXY" in refusal(data)


@pytest.mark.parametrize(
    "data", [b"PROXX", b"proxy ", b"\r\n\r\n\x00\r\nQUIT\r", b"\r\nP", b"\x00"]
)
def test_what_cannot_become_a_signature_is_refused_at_once(data: bytes) -> None:
    assert refusal(data) == "the first bytes are not a PROXY protocol header"


def test_version_2_addresses() -> None:
    assert parse(v2()) == ProxyHeader(source=SOURCE, destination=DESTINATION)
    addresses = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("::1").packed
    body = addresses + struct.pack("!HH", 1, 65535)
    assert parse(v2(body, 0x21)) == ProxyHeader(
        source=("2001:db8::1", 1), destination=("::1", 65535)
    )


@pytest.mark.parametrize(
    ("body", "family", "command"),
    [
        (b"", 0x00, 0x21),  # UNSPEC
        (bytes(216), 0x31, 0x21),  # AF_UNIX
        (b"", 0x00, 0x20),  # LOCAL
        (INET, 0x11, 0x20),
        (b"\x20\xff\xffgarbage", 0xFF, 0x20),  # LOCAL: the rest is discarded unread
        (bytes(4096), 0x00, 0x20),
    ],
)
def test_version_2_without_source(body: bytes, family: int, command: int) -> None:
    assert parse(v2(body, family, command)) == ProxyHeader()


@pytest.mark.parametrize("family", [0x00, 0x11, 0x21, 0x31])
def test_fields_of_every_family(family: int) -> None:
    addresses = {0x00: b"", 0x11: INET, 0x21: bytes(36), 0x31: bytes(216)}[family]
    header = parse(
        v2(
            addresses
            + tlv(0x01, b"mqtt")
            + tlv(0x02, "bröker.example".encode())
            + tlv(0x04, bytes(3))
            + tlv(0x05, b"unique")
            + tls(tlv(0x22, b"device-1"), tlv(0x21, b"TLSv1.3"), tlv(0x23, b"TLS_AES"))
            + tlv(0xEA, b"vendor"),
            family,
        )
    )
    assert header.alpn == b"mqtt"
    assert header.authority == "bröker.example"
    assert header.ssl_common_name == "device-1"
    assert header.ssl_version == "TLSv1.3"
    assert (header.source is None) == (family in {0x00, 0x31})


@pytest.mark.parametrize(
    ("client", "verify", "name", "version"),
    [
        (0x01 | 0x02, 0, "cn", "TLSv1.2"),
        (0x01 | 0x04, 0, "cn", "TLSv1.2"),
        (0x01, 0, None, "TLSv1.2"),  # no certificate was shown
        (0x03, 1, None, "TLSv1.2"),  # the certificate was not verified
        (0x07, 2**32 - 1, None, "TLSv1.2"),
        (0x02, 0, None, None),  # no TLS at all
        (0x00, 0, None, None),
    ],
)
def test_only_a_verified_certificate_gives_a_name(
    client: int, verify: int, name: str | None, version: str | None
) -> None:
    field = tls(tlv(0x21, b"TLSv1.2"), tlv(0x22, b"cn"), client=client, verify=verify)
    header = parse(v2(INET + field))
    assert (header.ssl_common_name, header.ssl_version) == (name, version)


def test_empty_texts_are_none() -> None:
    header = parse(v2(INET + tlv(0x02, b"") + tls(tlv(0x21, b""), tlv(0x22, b""))))
    assert header == ProxyHeader(source=SOURCE, destination=DESTINATION)


@pytest.mark.parametrize(
    "text", [b"a\x00b", b"a\nb", b"\x7f", "\x85".encode(), "\u202ex".encode(), b"\xff"]
)
def test_control_characters_and_bad_utf_8_are_refused(text: bytes) -> None:
    refusal(v2(INET + tlv(0x02, text)))
    refusal(v2(INET + tls(tlv(0x22, text))))
    refusal(v2(INET + tls(tlv(0x21, text))))
    refusal(v2(INET + tls(tlv(0x22, text), client=0, verify=1)))


@pytest.mark.parametrize(
    "body",
    [
        INET + b"\x04",
        INET + b"\x04\x00",
        INET + b"\x04\x00\x01",
        INET + tlv(0x20, bytes(4)),
        INET + tls(b"\x22\x00\x05abc"),
        INET + tls(b"\x22"),
        INET + tlv(0x01, b"a") + tlv(0x01, b"a"),
        INET + tlv(0x02, b"a") + tlv(0x02, b"a"),
        INET + tls() + tls(),
        INET + tls(tlv(0x22, b"a"), tlv(0x22, b"b")),
        INET + tlv(0x03, b"123"),
        INET + tlv(0x03, b"12345"),
        INET + tlv(0x03, b"1234"),
        INET[:-1],
        b"",
    ],
)
def test_bad_fields(body: bytes) -> None:
    refusal(v2(body))


@pytest.mark.parametrize("family", [0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x32, 0x41, 0xF1])
def test_bad_families(family: int) -> None:
    refusal(v2(bytes(300), family))


@pytest.mark.parametrize("command", [0x11, 0x31, 0x01, 0x22, 0x2F])
def test_bad_versions_and_commands(command: int) -> None:
    refusal(v2(command=command))


def test_a_long_header_is_refused_from_its_fixed_part() -> None:
    for command in (0x20, 0x21):
        assert "4097" in refusal(SIGNATURE + struct.pack("!BBH", command, 0x11, 4097))
    assert ProxyParser().feed(SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 4096)) is None


def with_checksum(body: bytes) -> bytes:
    """The header with a right checksum at its end."""
    blank = v2(body + tlv(0x03, bytes(4)))
    return blank[:-4] + crc32c(blank).to_bytes(4)


def test_checksum() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    good = with_checksum(INET + tlv(0x02, b"broker.example"))
    assert parse(good).authority == "broker.example"
    for index in (20, 31, 44, len(good) - 1):
        bad = bytearray(good)
        bad[index] ^= 1
        assert refusal(bytes(bad)) == "the checksum of the header is wrong"


def pieces(data: bytes, cuts: Sequence[int]) -> tuple[ProxyHeader, bytes] | None:
    """What comes out when ``data`` is fed in pieces; what is behind the header is collected."""
    parser = ProxyParser()
    position = turn = 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        result = parser.feed(data[position : position + step])
        position += step
        turn += 1
        if result is not None:
            return result[0], result[1] + data[position:]
    return None


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 8883\r\n",
        b"PROXY UNKNOWN\r\n",
        v2(INET + tlv(0x02, b"a") + tls(tlv(0x22, b"cn"))),
        with_checksum(INET),
        v2(b"", 0x00, 0x20),
    ],
)
@pytest.mark.parametrize("cuts", [[1], [2], [5, 1], [16, 3], [1000]])
def test_fragments_and_what_follows(header: bytes, cuts: list[int]) -> None:
    whole = ProxyParser().feed(header + MQTT)
    assert whole is not None
    assert whole[1] == MQTT
    assert pieces(header + MQTT, cuts) == whole
    assert pieces(header[:-1], cuts) is None


noise = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=100).map(lambda rest: b"PROXY " + rest),
    st.binary(max_size=100).map(lambda rest: SIGNATURE + rest),
    st.binary(max_size=60).map(lambda rest: v2(INET + rest)),
    st.binary(max_size=60).map(lambda rest: v2(INET + tls(rest))),
)


@given(noise, st.lists(st.integers(1, 30), min_size=1))
def test_any_bytes_give_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    def outcome(cuts: list[int]) -> object:
        try:
            return pieces(data, cuts)
        except InvalidProxyHeader:
            return "refused"

    assert outcome(cuts) == outcome([1000])


addresses4 = st.ip_addresses(v=4)
addresses6 = st.ip_addresses(v=6)
ports = st.integers(0, 65535)


@given(addresses4, ports, addresses4, ports)
def test_version_1_beside_the_other_implementation(
    source: ipaddress.IPv4Address, port: int, destination: ipaddress.IPv4Address, port2: int
) -> None:
    line = ProxyProtocolV1().pack(ProxyResultIPv4((source, port), (destination, port2)))
    assert parse(line) == ProxyHeader((str(source), port), (str(destination), port2))


@given(
    addresses6,
    ports,
    addresses6,
    ports,
    st.text("abc-é", min_size=1),
    st.binary(min_size=1, max_size=20),
)
def test_version_2_beside_the_other_implementation(
    source: ipaddress.IPv6Address,
    port: int,
    destination: ipaddress.IPv6Address,
    port2: int,
    name: str,
    alpn: bytes,
) -> None:
    ssl = ProxyProtocolSSLTLV(
        has_ssl=True, has_cert_conn=True, verified=True, version="TLSv1.3", cn=name
    )
    fields = ProxyProtocolTLV(alpn=alpn, authority=name, ssl=ssl)
    result = ProxyResultIPv6(
        (source, port), (destination, port2), protocol=socket.SOCK_STREAM, tlv=fields
    )
    header = parse(ProxyProtocolV2().pack(result))
    assert header.source == (str(source), port)
    assert header.destination == (str(destination), port2)
    assert (header.alpn, header.authority) == (alpn, name)
    assert (header.ssl_common_name, header.ssl_version) == (name, "TLSv1.3")
