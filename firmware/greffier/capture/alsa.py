"""A sound card's thread: whole periods from the card into a ring, for years.

One thread a card. It waits for nothing but the card's next period and, while the card is away, the
next attempt to open it. What happens to a card becomes an event (see ``card_ring``): an overrun is
a gap that the clock measures, a card that is pulled out is opened again and again.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from greffier.capture.alsa_device import AlsaCard, Card, CardFailed, CardSettings
from greffier.capture.card_ring import CardRing, Lost, Overrun, Returned
from greffier.capture.card_timeline import CardTimeline, Look
from greffier.errors import DeviceNotFound

OVERRUNS_IN_A_ROW = 5
"""After so many without one frame the card is taken for lost: preparing it does not help."""
BACK_OFF_S = (0.1, 0.2, 0.4, 0.5)
"""Pauses between attempts to open a card; the last one repeats. A card that is back must be open
within 2 s: what is left of them is for a busy machine and for a card that opens slowly."""
LOOKS = 4
"""How often the card's counter is read at most, to get one reading that was not interrupted."""
ENOUGH_NS = 500_000
"""A reading that took no longer is taken: it is right within a few frames."""


@dataclass(frozen=True, slots=True)
class CardCounters:
    """What a card's thread did since it was made; a snapshot.

    *periods* and *frames* read; *overruns* of the card; *slips* (frames lost without a word);
    *dropped* periods (ring full); *losses* of the card; *attempts* to open it again, and how many
    of them *failed*; *drift_ppm* against the machine's clock, give or take *uncertain_ppm*.
    """

    periods: int
    frames: int
    overruns: int
    slips: int
    dropped: int
    losses: int
    attempts: int
    failed: int
    drift_ppm: float
    uncertain_ppm: float


_NOTHING_YET: Final = CardCounters(0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)


class CardReader:
    """Reads one card into *ring* from :meth:`start` to :meth:`stop`.

    *now_ns* is the monotonic clock of all times; *pause* waits so many seconds of that clock, at
    most until :meth:`stop`. *priority* asks for SCHED_FIFO (1..99; 0 leaves the thread as it is).
    """

    def __init__(
        self,
        settings: CardSettings,
        ring: CardRing,
        now_ns: Callable[[], int],
        *,
        open_card: Callable[[CardSettings], Card] = AlsaCard,
        pause: Callable[[float], object] | None = None,
        priority: int = 0,
        after: "CardReader | None" = None,
    ) -> None:
        """*after*: a reader of this card that was given up, whose sample line and counts go on."""
        # Written by the maker only:
        self.settings = settings
        self.ring = ring
        self._now_ns = now_ns
        self._open_card = open_card
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._priority = priority
        self._thread: threading.Thread | None = None  # the owner's, who calls start and stop
        # Held by whoever touches ring and timeline, never while the card is asked for anything:
        self._door = threading.Lock()
        self._given_up = False  # guarded by _door
        # The owner's until start(), then the card's thread's:
        self._card: Card | None = None
        # Written by the card's thread only, read by anyone (each is one word):
        self._timeline: CardTimeline = (
            CardTimeline(settings.rate) if after is None else after._timeline
        )
        counted = _NOTHING_YET if after is None else after.counters
        self._periods, self._frames = counted.periods, counted.frames
        self._overruns, self._slips = counted.overruns, counted.slips
        self._losses = counted.losses
        self._attempts, self._failed = counted.attempts, counted.failed
        self._in_a_row = 0
        self._away = False
        self._waits = 0  # attempts since the card was lost
        self.realtime = False
        """Whether the system gave the thread its priority."""
        self.last_ns = now_ns()
        """When the last period came: a watchdog may look at it."""

    # --- the owner ---

    def open(self) -> None:
        """Open the card before the thread exists, to hear of its absence. Raises DeviceNotFound."""
        self._card = self._open_card(self.settings)

    def start(self) -> None:
        """Start the thread. A card that is not open yet is lost, and looked for."""
        name = f"card {self.settings.device}"[:15]
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self, patience_s: float = 2.0) -> bool:
        """End the thread after its current period; False if it hangs in the card after that."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience_s)
            if self._thread.is_alive():
                return False
        return True

    def give_up(self) -> bool:
        """Leave the thread to itself, which hangs in the card: it never touches the ring again.

        It ends, and closes the card, if the card ever answers. False: it is at work just now.
        """
        if not self._door.acquire(blocking=False):
            return False
        self._given_up = True
        self._stopping.set()
        self._door.release()
        return True

    @property
    def is_running(self) -> bool:
        """Whether the thread lives. Between start and stop it always does, unless it is broken."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_away(self) -> bool:
        """Whether the card is lost at this moment."""
        return self._away

    @property
    def counters(self) -> CardCounters:
        drift = self._timeline.drift
        return CardCounters(
            self._periods, self._frames, self._overruns, self._slips, self.ring.dropped,
            self._losses, self._attempts, self._failed, drift.ppm, drift.uncertain_ppm,
        )  # fmt: skip

    # --- the card's thread ---

    def _run(self) -> None:
        self._take_priority()
        if self._card is None:
            self._tell(self._lose)
        while not self._stopping.is_set():
            if self._card is None:
                self._open_again()
            else:
                self._read(self._card)
        self._close()

    def _tell(self, what: Callable[[], None]) -> None:
        """Do *what* with ring and timeline, unless they are another reader's by now."""
        with self._door:
            if not self._given_up:
                what()

    def _close(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            card.close()

    def _take_priority(self) -> None:
        if self._priority:
            # Without the right to it, capture goes on at the ordinary priority; doctor says so.
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority))
                self.realtime = True

    def _read(self, card: Card) -> None:
        """One period, or what came instead."""
        try:
            frames, data = card.read()
        except CardFailed:
            self._give_back()
            return
        if frames > 0:
            look = self._look(card)
            self._in_a_row = 0
            with self._door:  # as _tell, without a call for each period
                if not self._given_up:
                    self._deliver(frames, data, look)
            return
        if frames < 0:
            self._tell(self._overrun)
        self._in_a_row += 1
        if self._in_a_row >= OVERRUNS_IN_A_ROW:
            self._give_back()

    def _overrun(self) -> None:
        self._overruns += 1
        self._timeline.interrupt()

    def _give_back(self) -> None:
        """The card is gone: say so, and close it."""
        self._tell(self._lose)
        self._close()

    def _look(self, card: Card) -> Look:
        """How many frames wait at which time; the reading that took least of several."""
        best: Look | None = None
        before = self._now_ns()
        for _ in range(LOOKS):
            waiting = card.waiting()
            after = self._now_ns()
            if waiting < 0:
                break  # an overrun since the read: the next read tells
            look = Look((before + after) // 2, waiting, after - before)
            if best is None or look.spread_ns < best.spread_ns:
                best = look
            if best.spread_ns <= ENOUGH_NS:
                break
            before = after
        return best or Look(before, 0, self._now_ns() - before)

    def _deliver(self, frames: int, data: bytes, look: Look) -> None:
        timeline, ring = self._timeline, self.ring
        expected, interrupted = timeline.next, timeline.interrupted
        placed = timeline.place(frames, look)
        t_ns = timeline.time_of(placed.position)
        if self._away:
            self._away = False
            self._waits = 0
            ring.put(Returned(expected, placed.missing, t_ns))
        elif interrupted or placed.slipped:
            self._slips += placed.slipped
            cause = "slip" if placed.slipped else "card"
            ring.put(Overrun(expected, placed.missing, cause, timeline.time_of(expected)))
        ring.put_period(placed.position, t_ns, data)
        self._periods += 1
        self._frames += frames
        self.last_ns = look.t_ns

    def _lose(self) -> None:
        """Nothing comes of the card any more; it is told once."""
        self._in_a_row = 0
        self._timeline.interrupt()
        if not self._away:
            self._away = True
            self._losses += 1
            self.ring.put(Lost(self._timeline.next, self._now_ns()))

    def _open_again(self) -> None:
        """Wait, then try; a card that opens is back only when its first frames are read."""
        self._pause(BACK_OFF_S[min(self._waits, len(BACK_OFF_S) - 1)])
        self._waits += 1
        if self._stopping.is_set():
            return
        self._attempts += 1
        try:
            self._card = self._open_card(self.settings)
        except DeviceNotFound:
            self._failed += 1
