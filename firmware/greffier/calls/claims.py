"""Which call a media address belongs to, by what session descriptions said."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from greffier.calls.call import Call
from greffier.calls.events import Side
from greffier.capture.datagram import Address
from greffier.sip.sdp import Media

_OTHER: dict[Side, Side] = {"caller": "callee", "callee": "caller"}


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One side of one call receives here."""

    call: Call
    side: Side
    address: Address
    media: Media
    order: int
    """Grows with every claim made."""


class Claims:
    """All media addresses of all calls that are not closed yet."""

    def __init__(self, most_per_call: int) -> None:
        self._most = most_per_call
        self._at: dict[Address, dict[tuple[Call, Side], Claim]] = {}
        self._order = 0

    def add(self, call: Call, side: Side, address: Address, media: Media) -> None:
        """Claim *address*; a newer description of the same side replaces the older one there."""
        self._order += 1
        claims = self._at.setdefault(address, {})
        claims[call, side] = Claim(call, side, address, media, self._order)
        call.addresses.pop((address, side), None)
        call.addresses[address, side] = None
        if len(call.addresses) > self._most:
            self._release(call, *next(iter(call.addresses)))

    def release(self, call: Call) -> None:
        """Give up everything that *call* claims."""
        for address, side in list(call.addresses):
            self._release(call, address, side)

    def exact(self, source: Address, destination: Address) -> Claim | None:
        """The claim on *destination* of a call whose other side has *source*.

        Of several the newest, calls that have ended last.
        """
        senders, receivers = self._at.get(source), self._at.get(destination)
        if not senders or not receivers:
            return None
        # Hundreds of calls may share one of the two addresses (SIPp's do), never both.
        fewer, others = (senders, receivers)
        if len(receivers) < len(senders):
            fewer, others = receivers, senders
        best: Claim | None = None
        for call, side in fewer:
            if (call, _OTHER[side]) not in others:
                continue
            receiving = side if fewer is receivers else _OTHER[side]
            claim = receivers[call, receiving]
            if best is None or _rank(claim) > _rank(best):
                best = claim
        return best

    def single(self, address: Address, at_ns: int) -> Claim | None:
        """The claim on *address*, if exactly one call makes one; a call that was over at that time
        counts only where no other does.

        A call whose media stopped before another one began here is over too: its end was missed.
        """
        claims = list(self._at.get(address, {}).values())
        newest = max((claim.call.started_ns for claim in claims), default=0)
        for over in (False, True):
            found: Claim | None = None
            for claim in claims:
                call = claim.call
                replaced = call.fell_silent_before(newest) and not call.holding
                if (call.ended_ns < at_ns if call.ended else replaced) != over:
                    continue
                if found is not None and found.call is not call:
                    return None
                found = claim
            if found is not None:
                return found
        return None

    def alone(self, address: Address) -> bool:
        """Whether one call only claims *address*, calls that have ended counted."""
        return len({claim.call for claim in self._at.get(address, {}).values()}) == 1

    def contested(self, call: Call, *addresses: Address) -> bool:
        """Whether another call, one that has not ended, claims one of the addresses."""
        return any(
            other is not call and not other.ended
            for address in addresses
            for other, _ in self._at.get(address, ())
        )

    def of(self, call: Call, side: Side, address: Address) -> Claim | None:
        """What *call* says about its *side* at *address*."""
        return self._at.get(address, {}).get((call, side))

    def __len__(self) -> int:
        """Addresses claimed."""
        return len(self._at)

    def _release(self, call: Call, address: Address, side: Side) -> None:
        """Give up one claim."""
        del call.addresses[address, side]
        claims = self._at[address]
        del claims[call, side]
        if not claims:
            del self._at[address]


def other_side(side: Side) -> Side:
    """The other party; of an unknown one an unknown one."""
    return _OTHER.get(side, "unknown")


def same_side(side: Side) -> Side:
    """The side itself: who claims the source is who sends."""
    return side


def media_address(media: Media, fallback_host: str) -> Address | None:
    """Where *media* is received, or None: rejected, on hold by 0.0.0.0, or unusable.

    A host that is a name cannot be resolved here; then *fallback_host*, the sender of the message,
    is the best guess. IPv6 is brought into the canonical form that packets have.
    """
    if media.rejected or media.connection is None:
        return None
    try:
        host = ip_address(media.connection.host.partition("%")[0])
    except ValueError:
        return Address(fallback_host, media.port)
    if host.is_unspecified:
        return None
    if isinstance(host, IPv6Address) and host.ipv4_mapped:
        host = host.ipv4_mapped
    return Address(str(host), media.port)


def _rank(claim: Claim) -> tuple[bool, int]:
    """Calls that have not ended first, then the newest."""
    return (not claim.call.ended, claim.order)
