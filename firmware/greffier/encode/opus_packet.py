"""How long an Opus packet lasts, and whether it is one at all: RFC 6716 section 3, no library."""

from greffier.encode import BadPayload

# RFC 6716 table 2: frame duration in 1/48000 s by configuration number (the TOC's upper 5 bits).
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
DURATIONS = _SILK * 3 + _HYBRID * 2 + _CELT * 4
LONGEST = 5760
"""No packet lasts longer than 120 ms (requirement R5), in 1/48000 s."""
_LARGEST_FRAME = 1275


def duration(packet: bytes) -> int:
    """The packet's duration in 1/48000 s. Raises BadPayload unless requirements R1 to R7 hold."""
    if not packet:
        raise BadPayload("an Opus packet has at least one octet")
    frame = DURATIONS[packet[0] >> 3]
    code = packet[0] & 3
    if code == 3:
        return _arbitrary(packet, frame)
    if code == 0:
        _check_frame(len(packet) - 1, 1)
        return frame
    if code == 1:
        if len(packet) % 2 == 0:
            raise BadPayload("two Opus frames of one size share an odd number of octets", 1)
        _check_frame((len(packet) - 1) // 2, 1)
        return 2 * frame
    length, at = _frame_length(packet, 1)
    if at + length > len(packet):
        raise BadPayload("the first Opus frame is longer than the packet", 1)
    _check_frame(length, at)
    _check_frame(len(packet) - at - length, at + length)
    return 2 * frame


def silence(packet: bytes) -> bytes:
    """A packet of one octet that lasts one frame of *packet*'s kind and carries no sound."""
    return bytes([packet[0] & 0xFC])


def _check_frame(length: int, at: int) -> None:
    if length > _LARGEST_FRAME:
        raise BadPayload("an Opus frame is longer than 1275 octets", at)


def _frame_length(packet: bytes, at: int) -> tuple[int, int]:
    """The length written at *at* (RFC 6716 3.2.1) and the offset behind it."""
    if at >= len(packet):
        raise BadPayload("an Opus frame length is missing", at)
    if packet[at] < 252:
        return packet[at], at + 1
    if at + 1 >= len(packet):
        raise BadPayload("half an Opus frame length is missing", at)
    return packet[at + 1] * 4 + packet[at], at + 2


def _padding(packet: bytes, at: int) -> tuple[int, int]:
    """How many octets of padding end the packet (RFC 6716 3.2.5), and the offset behind."""
    total = 0
    while True:
        if at >= len(packet):
            raise BadPayload("an Opus padding length is missing", at)
        octet = packet[at]
        at += 1
        if octet < 255:
            return total + octet, at
        total += 254


def _arbitrary(packet: bytes, frame: int) -> int:
    """The duration of a code 3 packet."""
    if len(packet) < 2:
        raise BadPayload("an Opus packet of code 3 has at least two octets", 1)
    count = packet[1] & 0x3F
    if count == 0 or count * frame > LONGEST:
        raise BadPayload("an Opus packet of no frames, or longer than 120 ms", 1)
    at, end = 2, len(packet)
    if packet[1] & 0x40:
        padding, at = _padding(packet, at)
        end -= padding
    if packet[1] & 0x80:
        lengths = 0
        for _ in range(count - 1):
            length, at = _frame_length(packet, at)
            _check_frame(length, at)
            lengths += length
        if at + lengths > end:
            raise BadPayload("the Opus frames are longer than the packet", at)
        _check_frame(end - at - lengths, at)
    else:
        if end < at or (end - at) % count:
            raise BadPayload("Opus frames of one size do not fill the packet", at)
        _check_frame((end - at) // count, at)
    return count * frame
