"""A ring of fixed-size frames between one capture thread and one consumer thread (native/ring.h).

One Python thread may be on each side at once: calls give the interpreter lock back while they run.
Capture never blocks: what does not fit is dropped and counted.
"""

from greffier._native import ffi, lib


class Ring:
    """*frames* (a power of two) frames of *frame_octets* octets each.

    With *erase*, frames are zeroed as they are read. Raises ValueError if *frames* is no power of
    two, or a frame has no octets, and MemoryError if there is no memory.
    """

    def __init__(self, frame_octets: int, frames: int, *, erase: bool = False) -> None:
        if frame_octets < 1 or frames < 1 or frames & (frames - 1):
            raise ValueError("a ring holds a power of two of frames of at least one octet")
        ring = lib.greffier_ring_new(frame_octets, frames, erase)
        if ring == ffi.NULL:
            raise MemoryError(f"no memory for a ring of {frames} frames of {frame_octets} octets")
        self._ring = ffi.gc(ring, lib.greffier_ring_free)
        self._regions = ffi.new("greffier_ring_regions *")
        self.frame_octets = frame_octets
        self.capacity = frames
        self.locked = bool(lib.greffier_ring_locked(ring))
        """Whether the memory is locked: False if the system refused, and it may be swapped out."""

    def put(self, octets: bytes | bytearray | memoryview) -> int:
        """Producer: store whole frames; how many fit. The newest are dropped, and counted.

        Raises ValueError if *octets* is not whole frames.
        """
        frames, rest = divmod(memoryview(octets).nbytes, self.frame_octets)
        if rest:
            raise ValueError("not whole frames")
        source = octets if isinstance(octets, bytes) else ffi.from_buffer("uint8_t[]", octets)
        return lib.greffier_ring_put(self._ring, source, frames)

    def get(self, frames: int) -> bytes:
        """Consumer: take out at most *frames* frames, oldest first."""
        wanted = min(frames, self.capacity)
        target = ffi.new("uint8_t[]", wanted * self.frame_octets)
        taken = lib.greffier_ring_get(self._ring, target, wanted)
        return ffi.buffer(target, taken * self.frame_octets)[:]

    def peek(self, frames: int) -> tuple[memoryview, memoryview]:
        """Consumer: at most *frames* frames in place, in one piece or two, until :meth:`skip`.

        The views must not be used after skip, nor after the ring is gone.
        """
        regions = self._regions
        lib.greffier_ring_read_regions(self._ring, frames, regions)
        first = ffi.buffer(regions.first, regions.first_frames * self.frame_octets)
        second = ffi.buffer(regions.second, regions.second_frames * self.frame_octets)
        return memoryview(first).toreadonly(), memoryview(second).toreadonly()

    def skip(self, frames: int) -> None:
        """Consumer: take out *frames* frames unread. Raises ValueError if peek saw fewer."""
        if lib.greffier_ring_read_advance(self._ring, frames) != 0:
            raise ValueError("more frames than were seen")

    def scrub(self) -> int:
        """Consumer: zero every stored frame and take it out; how many there were."""
        return lib.greffier_ring_scrub(self._ring)

    def wipe(self) -> None:
        """Zero the whole memory; only while neither side is inside a call."""
        lib.greffier_ring_wipe(self._ring)

    @property
    def stored(self) -> int:
        """Frames stored and not yet read, at this moment."""
        return lib.greffier_ring_stored(self._ring)

    @property
    def dropped(self) -> int:
        """Frames that did not fit since the ring was made."""
        return lib.greffier_ring_dropped(self._ring)
