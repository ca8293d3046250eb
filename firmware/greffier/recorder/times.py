"""Times of packets that no call could have."""

from greffier.calls.limits import Limits
from greffier.capture.rtp import Packet

# As the tracker, which ends a call on hold after it.
LONGEST_SILENCE_NS = Limits().idle_ns


def with_known_times(packets: tuple[Packet, ...], latest_ns: int) -> tuple[Packet, ...]:
    """*packets*, those with an absurd time at that of the latest before them.

    No call is silent for hours: a frame that says so has a wrong clock, and would make the
    recording as long as that clock is wrong. *latest_ns*: the latest arrival before.
    """
    if all(packet.arrival_ns - latest_ns <= LONGEST_SILENCE_NS for packet in packets):
        return packets
    found = []
    for packet in packets:
        if packet.arrival_ns - latest_ns > LONGEST_SILENCE_NS:
            packet = packet._replace(arrival_ns=latest_ns)
        latest_ns = max(latest_ns, packet.arrival_ns)
        found.append(packet)
    return tuple(found)
