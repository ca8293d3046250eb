"""Every time-out and every bound of the tracker, with its reason."""

from dataclasses import dataclass

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in nanoseconds of capture time. The defaults suit a trunk; tests use smaller ones."""

    batch_ns: int = SECOND // 2
    """A leg's packets are handed on at most this late while they flow."""
    silent_ns: int = 2 * SECOND
    """A leg that is silent this long has handed on what waited for missing packets, too."""

    linger_ns: int = 5 * SECOND
    """After a BYE, packets still on their way count to their leg."""
    linger_most_ns: int = 60 * SECOND
    """A linger goes on while media flows, at most this long: a BYE may be refused unheard."""
    retry_ns: int = 180 * SECOND
    """After a final failure the same Call-ID may be tried again: someone types a password (51 s in
    a real capture). An INVITE without final response ends after the same time without a sign of
    life (RFC 3261 timer C)."""
    quiet_ns: int = 3_600 * SECOND
    """An answered call whose media stopped both ways, and is not on hold, ends after this: its BYE
    was missed. Hold without saying so lasts minutes, not an hour."""
    idle_ns: int = 4 * 3_600 * SECOND
    """An answered call that is on hold, or never had media, ends after this without any message."""
    superseded_ns: int = 10 * SECOND
    """A call this long without media ends when a newer one is answered on its addresses."""

    weak_ns: int = 2 * SECOND
    """A packet's source or destination alone links it only after this: the call that names both
    may still be on its way."""
    bare_ns: int = 10 * SECOND
    """Media that no call claims is listed as a call of its own after this time..."""
    bare_stopped_ns: int = 3 * SECOND
    """...or when it stops for this long."""
    bare_packets: int = 4
    """Fewer packets of a static audio type are no speech."""
    bare_silence_ns: int = 60 * SECOND
    """Bare RTP that stops this long is over."""

    held_ns: int = 60 * SECOND
    """Unclaimed packets are held this long for a call that is still to be heard of; never longer,
    because nothing says that they may be recorded."""
    held_packets: int = 6_000
    """Of one source: 60 s of 10 ms packets."""
    held_bytes: int = 64 * 1024 * 1024
    """Of all sources together."""
    loose_flows: int = 1_024
    """Unclaimed flows that look like RTP."""
    strange_flows: int = 4_096
    """Unclaimed flows of which one packet was seen that may be RTP (much DNS looks like it)."""
    sources: int = 16
    """Sources (SSRC) of one flow that are not proven yet."""
    calls: int = 4_096
    """Calls at once, lingering ones included."""
    legs: int = 256
    """Of one call."""
    claims: int = 64
    """Media addresses of one call; the oldest go first."""
    remembered: int = 4_096
    """Call-IDs of ended calls, so that their last retransmissions open nothing."""
