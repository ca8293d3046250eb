"""A ring, written plainly: a list of slots, two counters, and the rules of native/ring.h.

It shares nothing with the C ring but those rules, and checks nothing that the tests do not need.
"""


class ReferenceRing:
    """*frames* slots; a slot keeps what was last written to it until it is erased."""

    def __init__(self, frame_octets: int, frames: int, *, erase: bool = False) -> None:
        self.frame_octets = frame_octets
        self.erase = erase
        self.slots = [bytes(frame_octets)] * frames
        self.written = 0
        self.read = 0
        self.dropped = 0

    @property
    def stored(self) -> int:
        return self.written - self.read

    def put(self, octets: bytes) -> int:
        size = self.frame_octets
        frames = [octets[at : at + size] for at in range(0, len(octets), size)]
        fit = min(len(frames), len(self.slots) - self.stored)
        for frame in frames[:fit]:
            self.slots[self.written % len(self.slots)] = frame
            self.written += 1
        self.dropped += len(frames) - fit
        return fit

    def seen(self, frames: int) -> tuple[bytes, bytes]:
        """At most *frames* stored frames: up to the last slot, and from slot 0 on."""
        count = min(frames, self.stored)
        places = [(self.read + i) % len(self.slots) for i in range(count)]
        wrap = places.index(0) if 0 in places and places[0] != 0 else count
        return (
            b"".join(self.slots[place] for place in places[:wrap]),
            b"".join(self.slots[place] for place in places[wrap:]),
        )

    def skip(self, frames: int) -> None:
        for _ in range(frames):
            if self.erase:
                self.slots[self.read % len(self.slots)] = bytes(self.frame_octets)
            self.read += 1

    def get(self, frames: int) -> bytes:
        count = min(frames, self.stored)
        octets = b"".join(self.seen(count))
        self.skip(count)
        return octets

    def scrub(self) -> int:
        count = self.stored
        while self.stored:
            self.slots[self.read % len(self.slots)] = bytes(self.frame_octets)
            self.read += 1
        return count

    def wipe(self) -> None:
        self.slots = [bytes(self.frame_octets)] * len(self.slots)
