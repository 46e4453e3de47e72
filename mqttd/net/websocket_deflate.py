"""Compression of WebSocket messages (permessage-deflate, RFC 7692), with bounded inflation."""

from __future__ import annotations

import zlib

import attrs

from mqttd.config.schema.websocket import DeflateOptions

NAME = "permessage-deflate"

_MIN_COMPRESSED = 32
"""Payloads below this many octets (acknowledgements, pings) are sent as they are."""

_SYNC_TAIL = b"\x00\x00\xff\xff"
"""What ends a flushed block, and is left out on the wire [RFC 7692, 7.2.1]."""

_STRATEGIES = {
    "default": zlib.Z_DEFAULT_STRATEGY,
    "filtered": zlib.Z_FILTERED,
    "huffman_only": zlib.Z_HUFFMAN_ONLY,
    "rle": zlib.Z_RLE,
}


class InflationError(Exception):
    """The compressed data of a message is damaged (``too_big`` is False) or inflates too far."""

    def __init__(self, *, too_big: bool) -> None:
        super().__init__("inflates too far" if too_big else "damaged compressed data")
        self.too_big = too_big


@attrs.frozen
class DeflateAgreement:
    """What both sides agreed on; ``response`` is the header value that says so."""

    response: str
    server_bits: int
    client_bits: int
    server_takeover: bool
    client_takeover: bool


def agree(offers: list[str], options: DeflateOptions) -> DeflateAgreement | None:
    """Return the answer to the first acceptable offer, or None to go on without compression.

    ``offers`` are the elements of the client's Sec-WebSocket-Extensions. An offer with a
    parameter that is unknown, repeated or out of range is passed over [RFC 7692, 7.1].
    """
    for offer in offers:
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name.lower() != NAME:
            continue
        offered = _read_parameters(parameters)
        if offered is not None:
            agreement = _answer(offered, options)
            if agreement is not None:
                return agreement
    return None


def _read_parameters(parameters: list[str]) -> dict[str, int | None] | None:
    """Return the parameters by name with their window bits, or None when one is not valid."""
    found: dict[str, int | None] = {}
    for parameter in parameters:
        name, equals, value = (part.strip() for part in parameter.partition("="))
        bits: int | None = None
        if name in {"server_max_window_bits", "client_max_window_bits"}:
            value = value.strip('"')
            if value in {"8", "9", "10", "11", "12", "13", "14", "15"}:
                bits = int(value)
            elif equals or name == "server_max_window_bits":
                return None
        elif name not in {"server_no_context_takeover", "client_no_context_takeover"} or equals:
            return None
        if name in found:
            return None
        found[name] = bits
    return found


def _answer(offered: dict[str, int | None], options: DeflateOptions) -> DeflateAgreement | None:
    parts = [NAME]
    server_takeover = (
        options.server_context_takeover == "takeover"
        and "server_no_context_takeover" not in offered
    )
    if not server_takeover:
        parts.append("server_no_context_takeover")
    client_takeover = (
        options.client_context_takeover == "takeover"
        and "client_no_context_takeover" not in offered
    )
    if not client_takeover:
        parts.append("client_no_context_takeover")
    # zlib makes no raw stream with a window of 2**8: 9 is its smallest.
    server_bits = min(max(options.server_max_window_bits, 9), offered.get(_SERVER_BITS) or 15)
    if server_bits < 9:
        return None
    if server_bits < 15 or _SERVER_BITS in offered:
        parts.append(f"{_SERVER_BITS}={server_bits}")
    client_bits = 15
    if _CLIENT_BITS in offered:
        client_bits = min(options.client_max_window_bits, offered[_CLIENT_BITS] or 15)
        parts.append(f"{_CLIENT_BITS}={client_bits}")
    return DeflateAgreement(
        "; ".join(parts), server_bits, client_bits, server_takeover, client_takeover
    )


_SERVER_BITS = "server_max_window_bits"
_CLIENT_BITS = "client_max_window_bits"


class Deflate:
    """Both directions of one WebSocket. Nothing is allocated before the first message."""

    __slots__ = ("_agreement", "_compressor", "_decompressor", "_options")

    def __init__(self, agreement: DeflateAgreement, options: DeflateOptions) -> None:
        self._agreement = agreement
        self._options = options
        self._compressor: zlib._Compress | None = None
        self._decompressor: zlib._Decompress | None = None

    def inflate(self, data: bytes, limit: int, *, message_ends: bool) -> bytes:
        """Return the plain octets of a piece of a message, at most ``limit`` of them.

        Raises InflationError, before more than ``limit`` octets were made: a kilobyte of zeros
        may stand for a megabyte.
        """
        inflater = self._decompressor
        if inflater is None:
            # A larger window than the sender's is always right, and 8 is refused by zlib.
            inflater = zlib.decompressobj(-max(self._agreement.client_bits, 9))
            self._decompressor = inflater
        if message_ends:
            data += _SYNC_TAIL
        try:
            # One more octet than allowed, since 0 would mean no limit.
            plain = inflater.decompress(data, limit + 1)
        except zlib.error:
            raise InflationError(too_big=False) from None
        if len(plain) > limit or inflater.unconsumed_tail:
            raise InflationError(too_big=True)
        if inflater.eof:
            # A block marked as the stream's last: legal [RFC 7692, 7.2.3.4] and made by nobody.
            raise InflationError(too_big=False)
        if message_ends and not self._agreement.client_takeover:
            self._decompressor = None
        return plain

    def deflate(self, payload: bytes) -> bytes | None:
        """Return the compressed message, or None when it is to be sent as it is."""
        if len(payload) < _MIN_COMPRESSED:
            return None
        compressor = self._compressor
        if compressor is None:
            options = self._options
            compressor = zlib.compressobj(
                zlib.Z_DEFAULT_COMPRESSION if options.level is None else options.level,
                zlib.DEFLATED,
                -self._agreement.server_bits,
                options.mem_level,
                _STRATEGIES[options.strategy],
            )
            if self._agreement.server_takeover:
                self._compressor = compressor
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(_SYNC_TAIL)
