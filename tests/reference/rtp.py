"""RTP packets and streams, written plainly from RFC 3550, RFC 4733 and the rules of native/*.h.

It shares no code with the C core, keeps everything for ever, and is as slow as it likes: numbers
are Python integers in dictionaries, so nothing wraps, and a window is a condition, not an array.
"""

from dataclasses import dataclass, field

DROPOUT = 3000
MISORDER = 100
MEMORY = 4096
WINDOW = 32
PATIENCE_NS = 200_000_000


@dataclass(frozen=True)
class Parsed:
    timestamp: int
    ssrc: int
    payload: bytes
    extension: bytes | None
    profile: int
    sequence: int
    payload_type: int
    marker: bool
    csrc_count: int
    padding: int


def parse(packet: bytes) -> Parsed:
    """RFC 3550 section 5.1 and 5.3.1. Raises ValueError with the reason."""
    if len(packet) < 12:
        raise ValueError("shorter than the fixed header")
    bits = f"{packet[0]:08b}"
    version, has_padding, has_extension = bits[:2], bits[2] == "1", bits[3] == "1"
    if version != "10":
        raise ValueError("the version is not 2")
    if packet[1] % 128 in range(72, 77) or packet[1] in range(205, 208):
        raise ValueError("an RTCP packet")
    csrc_count = int(bits[4:], 2)
    rest = packet[12:]
    if len(rest) < 4 * csrc_count:
        raise ValueError("the list of contributing sources is cut off")
    rest = rest[4 * csrc_count :]
    extension, profile = None, 0
    if has_extension:
        if len(rest) < 4:
            raise ValueError("the head of the extension is cut off")
        profile = int.from_bytes(rest[:2], "big")
        length = 4 * int.from_bytes(rest[2:4], "big")
        extension, rest = rest[4 : 4 + length], rest[4 + length :]
        if len(extension) < length:
            raise ValueError("the extension is cut off")
    padding = 0
    if has_padding:
        if not rest:
            raise ValueError("padding is announced and absent")
        padding = rest[-1]
        if padding == 0:
            raise ValueError("the padding counts zero octets")
        if padding > len(rest):
            raise ValueError("the padding is longer than the payload")
        rest = rest[: len(rest) - padding]
    return Parsed(
        timestamp=int.from_bytes(packet[4:8], "big"),
        ssrc=int.from_bytes(packet[8:12], "big"),
        payload=rest,
        extension=extension,
        profile=profile,
        sequence=int.from_bytes(packet[2:4], "big"),
        payload_type=packet[1] % 128,
        marker=packet[1] >= 128,
        csrc_count=csrc_count,
        padding=padding,
    )


@dataclass
class Events:
    """Keys pressed: distinct timestamps, the last eight known, long ones counted once."""

    keys: int = 0
    malformed: int = 0
    recent: list[int] = field(default_factory=list)

    def count(self, timestamp: int, payload: bytes) -> None:
        if len(payload) < 4:
            self.malformed += 1
            return
        if payload[0] > 15 or timestamp in self.recent:
            return
        goes_on = any(
            (timestamp - other) % 2**32 in (65535, 2**32 - 65535) for other in self.recent
        )
        self.recent = [*self.recent, timestamp][-8:]
        self.keys += not goes_on


def nearest(reference: int, value: int, modulus: int) -> int:
    """The number closest to *reference* that equals *value* modulo *modulus*; ties go down."""
    step = (value - reference) % modulus
    return reference + (step if step < modulus // 2 else step - modulus)


# sequence, timestamp, payload type, marker, arrival, payload, segment
Out = tuple[int, int, int, bool, int, bytes, int]


class ReferenceStream:
    """What native/stream.h and native/sequence.h promise."""

    def __init__(self, event_types: frozenset[int] = frozenset(), payload_octets: int = 4096):
        self.event_types = event_types
        self.payload_octets = payload_octets
        self.events = Events()
        self.ssrc: int | None = None
        self.seen: dict[int, int] = {}  # extended number: timestamp
        self.highest = 0
        self.origin = 0  # the highest number's wire number is (highest - origin) mod 65536
        self.segment_first = 0
        self.segment = 0
        self.pending: list[tuple[Parsed, int]] = []
        self.waiting: dict[int, tuple[Parsed, int, int]] = {}
        self.out: list[Out] = []
        self.next = 0
        self.begun = False
        self.clock = 0
        self.payload_type = 0
        self.count = dict.fromkeys(
            ("packets", "duplicates", "reordered", "late", "oversize", "strays", "payload_changes"),
            0,
        )
        self.first_arrival_ns = self.last_arrival_ns = 0

    def counters(self) -> dict[str, int]:
        first, highest = min(self.seen, default=0), self.highest
        return {
            **self.count,
            "lost": highest - first + 1 - len(self.seen) if self.seen else 0,
            "restarts": self.segment,
            "keys": self.events.keys,
            "malformed_events": self.events.malformed,
            "first": first,
            "highest": highest,
            "first_arrival_ns": self.first_arrival_ns,
            "last_arrival_ns": self.last_arrival_ns,
            "ssrc": self.ssrc or 0,
        }

    def receive(self, octets: bytes, arrival_ns: int) -> str:
        packet = parse(octets)
        if self.ssrc is None:
            self.ssrc = packet.ssrc
            self.first_arrival_ns = arrival_ns
            self.payload_type = packet.payload_type
            self.next = self.segment_first = packet.sequence + 65536
            self.clock = 2**32 + packet.timestamp
            return self.accept(packet, arrival_ns, self.next)
        if packet.ssrc != self.ssrc:
            return "FOREIGN"
        self.expire(arrival_ns)
        highest = self.highest
        number = nearest(highest, packet.sequence + self.origin, 65536)
        if self.is_jump(packet, number, highest):
            return self.jump(packet, arrival_ns)
        if number in self.seen:
            self.last_arrival_ns = arrival_ns
            self.count["packets"] += 1
            self.count["duplicates"] += 1
            return "DUPLICATE"
        return self.accept(packet, arrival_ns, number)

    def is_jump(self, packet: Parsed, number: int, highest: int) -> bool:
        if number > highest:
            return number - highest >= DROPOUT
        if highest - number >= MEMORY:
            return True
        if number < self.segment_first:
            return self.segment > 0 or highest - number > MISORDER
        return number in self.seen and self.seen[number] != packet.timestamp

    def jump(self, packet: Parsed, arrival_ns: int) -> str:
        if self.pending:
            before = self.pending[0][0]
            if packet.sequence == (before.sequence + 1) % 65536:
                return self.restart(packet, arrival_ns)
            same = (packet.sequence, packet.timestamp) == (before.sequence, before.timestamp)
            if not same:
                self.pending = []
        self.pending.append((packet, arrival_ns))
        self.count["strays"] += 1
        return "PROBATION"

    def restart(self, packet: Parsed, arrival_ns: int) -> str:
        self.pass_up_to(self.highest + 1)
        copies = len(self.pending) - 1
        before, before_ns = self.pending[0]
        self.pending = []
        self.count["strays"] -= copies + 1
        self.count["packets"] += copies
        self.count["duplicates"] += copies
        self.segment += 1
        self.segment_first = self.highest + 1
        self.origin = self.segment_first - before.sequence
        self.clock = 2**32 + before.timestamp
        self.begun = True
        self.accept(before, before_ns, self.segment_first)
        status = self.accept(packet, arrival_ns, self.segment_first + 1)
        return "RESTARTED" if status == "NEWEST" else status

    def accept(self, packet: Parsed, arrival_ns: int, number: int) -> str:
        newest = number > self.highest
        self.highest = max(self.highest, number)
        self.seen[number] = packet.timestamp
        self.segment_first = min(self.segment_first, number)
        self.last_arrival_ns = arrival_ns
        self.count["packets"] += 1
        if packet.payload_type in self.event_types:
            self.events.count(packet.timestamp, packet.payload)
        timestamp = nearest(self.clock, packet.timestamp, 2**32)
        if newest:
            self.count["payload_changes"] += packet.payload_type != self.payload_type
            self.payload_type = packet.payload_type
            self.clock = timestamp
            if number - WINDOW >= self.next:
                self.pass_up_to(number - WINDOW + 1)
                self.begun = True
        else:
            self.count["reordered"] += 1
            if not self.begun and self.highest - number < WINDOW:
                self.next = min(self.next, number)
            if number < self.next:
                self.count["late"] += 1
                return self.go_on("LATE")
        if len(packet.payload) > self.payload_octets:
            self.count["oversize"] += 1
            return self.go_on("OVERSIZE")
        self.waiting[number] = (packet, arrival_ns, timestamp)
        return self.go_on("NEWEST" if newest else "REORDERED")

    def go_on(self, status: str) -> str:
        self.begun = self.begun or self.highest - self.next + 1 >= WINDOW
        while self.begun and self.next in self.waiting:
            self.pass_up_to(self.next + 1)
        return status

    def pass_up_to(self, limit: int) -> None:
        for number in sorted(number for number in self.waiting if number < limit):
            packet, arrival_ns, timestamp = self.waiting.pop(number)
            kind, marker = packet.payload_type, packet.marker
            self.out.append(
                (number, timestamp, kind, marker, arrival_ns, packet.payload, self.segment)
            )
        self.next = max(self.next, limit)

    def expire(self, time_ns: int) -> None:
        """No packet waits longer than PATIENCE_NS, by the times of arrival."""
        until_ns = time_ns - PATIENCE_NS
        old = [number for number, (_, at, _) in self.waiting.items() if at <= until_ns]
        if old:
            self.pass_up_to(max(old) + 1)
            self.begun = True
            self.go_on("")

    def ready(self) -> list[Out]:
        out, self.out = self.out, []
        return out

    def flush(self) -> list[Out]:
        if self.seen:
            self.pass_up_to(self.highest + 1)
            self.begun = True
        return self.ready()
