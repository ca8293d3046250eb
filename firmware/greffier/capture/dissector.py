"""From captured frames to datagrams: link layer, IP, fragments, tunnels, UDP and TCP.

One :class:`Dissector` per capture or interface. What it cannot use it counts, by reason; nothing
in a frame makes it raise.
"""

import struct
from collections import Counter
from collections.abc import Collection

from greffier.capture import ip
from greffier.capture.datagram import Address, Datagram
from greffier.capture.fragments import Fragments
from greffier.capture.link import IPV4, IPV6, NOTHING, network, vlans
from greffier.capture.record import Record
from greffier.capture.tcp import Segment, Streams

MAX_DEPTH = 4
"""IP headers one inside the other; more is a loop, not a tunnel."""
_MAX_ADDRESSES = 65_536

# Ethernet type, version and length, total length, flags and offset, protocol.
_PLAIN = struct.Struct(">HBxHxxHxB")
_GRE_NEXT = {IPV4, IPV6}
_ETHERNET_BRIDGED = 0x6558


class Dissector:
    """Turns records into datagrams, in the order in which they become complete.

    *sip_ports* are the TCP ports on which SIP is looked for; None: on all.
    """

    def __init__(self, sip_ports: Collection[int] | None = None) -> None:
        self.frames = 0
        """Records taken."""
        self.ignored: Counter[str] = Counter()
        """Frames that gave nothing, by reason: link, malformed, protocol, tcp, empty."""
        self.cut = 0
        """Datagrams given although the snap length cut them."""
        self._fragments = Fragments()
        self._streams = Streams()
        self._pairs: dict[bytes, tuple[Address, Address]] = {}
        self._sip_ports = None if sip_ports is None else frozenset(sip_ports)
        self._vlans: tuple[int, ...] = ()  # of the present frame
        self._last_ns = 0

    @property
    def dropped(self) -> dict[str, int]:
        """What was lost to damage or limits: fragments (``fragment_*``), TCP (``tcp_*``)."""
        return {
            **{f"fragment_{why}": n for why, n in self._fragments.dropped.items()},
            **{f"tcp_{why}": n for why, n in self._streams.dropped.items()},
        }

    def feed(self, record: Record) -> list[Datagram]:
        """The datagrams that this record completes: none, one, or more (TCP)."""
        self.frames += 1
        data = record.data
        if record.link_type == 1 and len(data) >= 42:
            # By far the most frames: Ethernet, IPv4 without options, no fragment, UDP.
            kind, first, total, flags, protocol = _PLAIN.unpack_from(data, 12)
            if kind == IPV4 and first == 0x45 and protocol == 17 and not flags & 0x3FFF:
                end = 34 + (data[38] << 8 | data[39])
                if 42 <= end <= 14 + total and end <= len(data):
                    self._last_ns = record.time_ns
                    key = data[26:38]
                    pair = self._pairs.get(key) or self._pair(key, 4)
                    if end == 42:
                        self.ignored["empty"] += 1
                        return []
                    return [Datagram(record.time_ns, pair[0], pair[1], data[42:end])]
        return self._feed_any(record)

    def finish(self) -> list[Datagram]:
        """The capture ended: messages of TCP streams that were still waiting."""
        return self._streams.finish(self._last_ns)

    def _feed_any(self, record: Record) -> list[Datagram]:
        """Any frame, the slow and general way."""
        self._last_ns = record.time_ns
        where = network(record.link_type, record.data)
        if where == NOTHING:
            self.ignored["link"] += 1
            return []
        self._vlans = vlans(record.link_type, record.data)
        try:
            return self._packet(record.data, where[1], len(record.data), record.time_ns, 0)
        except ip.BadPacket:
            self.ignored["malformed"] += 1
            return []

    def _packet(self, data: bytes, at: int, limit: int, time_ns: int, depth: int) -> list[Datagram]:
        """An IP packet at an offset; raises BadPacket."""
        packet = ip.parse(data, at, limit)
        protocol, start, end = packet.protocol, packet.start, packet.end
        if packet.fragment is not None:
            if packet.cut:
                raise ip.BadPacket(at, "a fragment is cut")
            whole = self._whole(packet, packet.fragment, data[start:end], time_ns)
            if whole is None:
                return []
            protocol, data = whole
            start, end = 0, len(data)
            if len(packet.source) == 16:
                # Of a whole packet in many fragments, extension headers may be inside the whole.
                protocol, start, _ = ip.extensions(data, protocol, 0, end)
        if protocol == ip.UDP:
            return self._udp(packet, data, start, end, time_ns)
        if protocol == ip.TCP:
            return self._tcp(packet, data, start, end, time_ns)
        inner = _tunnelled(protocol, data, start, end)
        if inner == NOTHING or depth == MAX_DEPTH:
            self.ignored["protocol"] += 1
            return []
        return self._packet(data, inner[1], end, time_ns, depth + 1)

    def _whole(
        self, packet: ip.Packet, fragment: ip.Fragment, data: bytes, time_ns: int
    ) -> tuple[int, bytes] | None:
        """Add a fragment; the datagram that it completes."""
        # RFC 791 tells datagrams apart by protocol too; in IPv6 only the first fragment knows it.
        tag = packet.protocol if len(packet.source) == 4 else -1
        key = (packet.source, packet.destination, tag, fragment.identification)
        return self._fragments.add(key, fragment, packet.protocol, data, time_ns)

    def _udp(
        self, packet: ip.Packet, data: bytes, start: int, end: int, time_ns: int
    ) -> list[Datagram]:
        """A UDP datagram (RFC 768)."""
        if end < start + 8:
            raise ip.BadPacket(start, "a UDP header is cut")
        size = data[start + 4] << 8 | data[start + 5]
        if size == 0:
            size = end - start  # a jumbogram, or a card that cuts large sends itself
        elif size < 8:
            raise ip.BadPacket(start, "a UDP length is impossible")
        if size > end - start and not packet.cut:
            raise ip.BadPacket(start, "a UDP length is larger than its packet")
        payload = data[start + 8 : min(start + size, end)]
        if not payload:
            self.ignored["empty"] += 1
            return []
        self.cut += size > end - start
        source, destination = self._pair_of(packet, data, start)
        return [Datagram(time_ns, source, destination, payload, vlans=self._vlans)]

    def _tcp(
        self, packet: ip.Packet, data: bytes, start: int, end: int, time_ns: int
    ) -> list[Datagram]:
        """A TCP segment: what it completes of SIP."""
        if end < start + 20:
            raise ip.BadPacket(start, "a TCP header is cut")
        sequence = struct.unpack_from(">I", data, start + 4)[0]
        body = start + (data[start + 12] >> 4) * 4
        if body < start + 20 or body > end:
            raise ip.BadPacket(start, "a TCP header length is impossible")
        pair = self._pair_of(packet, data, start)
        if self._sip_ports is not None and self._sip_ports.isdisjoint(one.port for one in pair):
            self.ignored["tcp"] += 1
            return []
        segment = Segment(sequence, data[start + 13], data[body:end])
        found = self._streams.feed(pair, segment, time_ns)
        if not found and not self._streams.follows(pair):
            self.ignored["tcp"] += 1
        # What others had to say comes with it at times: the tags of this frame are not theirs.
        return [
            one._replace(vlans=self._vlans) if (one.source, one.destination) == pair else one
            for one in found
        ]

    def _pair_of(self, packet: ip.Packet, data: bytes, start: int) -> tuple[Address, Address]:
        """Both addresses of a UDP or TCP packet."""
        key = packet.source + packet.destination + data[start : start + 4]
        return self._pairs.get(key) or self._pair(key, len(packet.source))

    def _pair(self, key: bytes, size: int) -> tuple[Address, Address]:
        """Make (and keep: most packets are of few flows) the addresses of a key."""
        source_port, destination_port = struct.unpack_from(">HH", key, 2 * size)
        pair = (
            Address(ip.host(key[:size]), source_port),
            Address(ip.host(key[size : 2 * size]), destination_port),
        )
        if len(self._pairs) >= _MAX_ADDRESSES:
            self._pairs.clear()
        self._pairs[key] = pair
        return pair


def _tunnelled(protocol: int, data: bytes, start: int, end: int) -> tuple[int, int]:
    """The IP packet inside a tunnel packet: IP in IP (RFC 2003), 6in4, 4in6, GRE (RFC 2784)."""
    if protocol == ip.IP_IN_IP:
        return IPV4, start
    if protocol == ip.IPV6_IN_IP:
        return IPV6, start
    if protocol != ip.GRE or end < start + 4:
        return NOTHING
    flags, kind = struct.unpack_from(">HH", data, start)
    if flags & 0x4007:  # source routing, or a version that is not plain GRE
        return NOTHING
    # A checksum, a key and a sequence number are each four bytes if there.
    at = start + 4 + sum(4 for bit in (0x8000, 0x2000, 0x1000) if flags & bit)
    if kind == _ETHERNET_BRIDGED:
        return _bridged(data, at, end)
    return (kind, at) if kind in _GRE_NEXT else NOTHING


def _bridged(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The IP packet in an Ethernet frame inside a tunnel."""
    kind, inner = network(1, data[at:end])
    return (kind, at + inner) if kind else NOTHING
