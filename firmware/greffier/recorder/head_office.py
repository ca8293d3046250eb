"""What the recorder takes from head office, and what it makes of it.

Receipts and cosigned checkpoints come through the transfer's process, which nobody believes: their
signatures were verified by the :class:`~greffier.recorder.librarian.Librarian`, and what they
say is compared with the log here. Nothing is answered before it is durable.

The recorder's thread owns a HeadOffice; :meth:`HeadOffice.work` is the control server's.
"""

from typing import Final

from greffier.audit.receipt import Signed
from greffier.audit.witness import BadCosigned, Cosigned
from greffier.clock import SECOND
from greffier.control.board import Board, Order
from greffier.control.messages import Done, Failure
from greffier.control.transfer import TROUBLES, AskWork, Sealed, SyncReport, Taken, Work
from greffier.durable.system import failed
from greffier.recorder import office_keys
from greffier.recorder.archive import Archive
from greffier.recorder.librarian import KINDS, Librarian
from greffier.recorder.office_keys import NOBODY, Trusted
from greffier.recorder.promises import Promises
from greffier.recorder.troubles import Troubles
from greffier.recorder.unconfirmed import Waiting
from greffier.recorder.witnessing import Witnessing

SILENT_NS: Final = 120 * SECOND
FORGED: Final = "sync.forged"
FORKED: Final = "sync.forked"
STANDS_NS: Final = 24 * 3600 * SECOND
"""How long the alarm of a forgery stands after the last one."""
LIVELY_NS: Final = SECOND // 2
MOST_OWED: Final = 64
"""Answers that may wait for a disk."""
CLOCK_OFF_NS: Final = 300 * SECOND
_ALARMING: Final = frozenset({"unsigned", "forged", "foreign", "other"})
_FORKED: Final = frozenset({"forked", "beyond"})


class HeadOffice:
    """One for an opened archive."""

    def __init__(self, archive: Archive, board: Board, troubles: Troubles) -> None:
        """Nothing is answered before :meth:`meet`."""
        self._archive = archive
        self._board = board
        self._troubles = troubles
        self._librarian: Librarian | None = None
        self._promises = Promises(archive.log)
        self._witnessing = Witnessing(archive)
        self._cosigned: list[tuple[int, Order]] = []  # by the size that is to be kept
        self._heard_ns = -LIVELY_NS  # when something came last, monotonic
        self._reported_ns = 0  # when the transfer reported last, monotonic; 0: never

    def meet(self, told: str | None) -> None:
        """Answer the transfer from now on: the archive is recovered.

        *told* is the SHA-256 of the keys that the log says last are believed. Raises StorageFailed.
        """
        try:
            trusted = office_keys.load(self._archive.data.head_office)
        except OSError as error:
            raise failed(self._archive.data.head_office, error) from error
        if trusted.sha256 != (told or NOBODY.sha256):
            self._archive.log.append("office.trusted", None, trusted.entry)
        self._troubles.set(not trusted.usable, "sync.keys")
        self._librarian = Librarian(self._archive, trusted)
        self._librarian.start()
        self._board.route({AskWork: self.work})
        self._board.route(dict.fromkeys(KINDS, self._librarian.orders))

    def leave(self) -> None:
        """Take nothing more, and fetch nothing more."""
        self._board.close_archive()
        if self._librarian is not None:
            self._librarian.stop()

    # --- the control server's thread ---

    def work(self, request: AskWork, _uid: int) -> Work:
        """The log's head, and what head office has not confirmed."""
        checkpoint, signed = self._archive.log.signed
        unconfirmed = self._archive.unconfirmed
        parts, more = unconfirmed.listed(request.after, request.most, checkpoint.size)
        return Work(
            self._archive.data.identity.device,
            checkpoint.size,
            signed.decode(),
            unconfirmed.totals.parts,
            tuple(map(_sealed, parts)),
            more,
        )

    # --- the recorder's thread ---

    def step(self) -> bool:
        """Take what was found and answer what is durable; whether an answer waits for a commit."""
        self._take()
        self.answer()
        return bool(self._promises)

    @property
    def lively(self) -> bool:
        """Whether receipts come now, and wait for the loop: more will follow an answer."""
        return self._archive.clock.monotonic_ns() - self._heard_ns < LIVELY_NS

    def _take(self) -> None:
        for found in self._librarian.take() if self._librarian is not None else ():
            if isinstance(found, Trusted):
                self._archive.log.append("office.trusted", None, found.entry)
                self._troubles.set(not found.usable, "sync.keys")
            elif len(self._promises) + len(self._cosigned) >= MOST_OWED:
                found.order.done(Failure("busy", "no_disk"))
            elif isinstance(found.found, Cosigned):
                self._witness(found.order, found.found)
            elif isinstance(found.found, BadCosigned):
                self._disbelieve(found.order, found.found.code)
            else:
                self._heard_ns = self._archive.clock.monotonic_ns()
                self._receive(found.order, found.found)

    def report(self, request: SyncReport, order: Order) -> None:
        """Raise the alarms that the transfer names, and clear the others."""
        self._reported_ns = max(1, self._archive.clock.monotonic_ns())
        named = {one if one in TROUBLES else "sync.other" for one in request.troubles}
        for name in (*TROUBLES, "sync.other"):
            self._troubles.set(name in named, name)
        order.done(Done())

    def answer(self) -> None:
        """Answer what is durable by now."""
        self._promises.keep()
        self._witnessing.watch()
        if self._cosigned:
            kept = self._archive.log.cosigned
            size = kept.size if kept else -1
            for wanted, order in self._cosigned:
                if wanted <= size:
                    order.done(Done())
            self._cosigned = [one for one in self._cosigned if one[0] > size]

    def beat(self) -> None:
        """A minute has gone by: look whether the keys have changed."""
        if self._librarian is not None:
            self._librarian.look()

    def watch(self) -> None:
        """Complain of a transfer that says nothing any more."""
        if self._reported_ns:
            silent = self._archive.clock.monotonic_ns() - self._reported_ns > SILENT_NS
            self._troubles.set(silent, "sync.silent")

    def _receive(self, order: Order, found: tuple[Signed | str, ...]) -> None:
        words = tuple(one if isinstance(one, str) else self._received(one) for one in found)
        if _ALARMING.intersection(words):
            self._troubles.happened(FORGED, for_ns=STANDS_NS)
        if {"received", "known"}.intersection(words):
            self._promises.make(self._archive.log.accepted - 1, order, Taken(words))
        else:
            order.done(Taken(words))

    def _received(self, signed: Signed) -> str:
        """Take a receipt whose signature holds; what became of it."""
        if signed.receipt.device != self._archive.data.identity.device:
            return "foreign"
        word = self._archive.unconfirmed.compare(signed.receipt)
        if word != "new":
            return word
        self._archive.receive(signed)
        return "received"

    def _disbelieve(self, order: Order, code: str) -> None:
        if code in _ALARMING:
            self._troubles.happened(FORGED, for_ns=STANDS_NS)
        elif code in _FORKED:
            self._troubles.happened(FORKED, for_ns=STANDS_NS)
        order.done(Failure("refused", code))

    def _witness(self, order: Order, cosigned: Cosigned) -> None:
        """Keep a cosigned checkpoint, and believe its time as far as our own clock bears it out."""
        clock = self._archive.clock
        now, stated = clock.wall_ns(), cosigned.time_s * SECOND
        self._troubles.set(stated > now + CLOCK_OFF_NS, "clock.differs")
        kept = self._archive.log.cosigned
        if kept is not None and cosigned.checkpoint.size <= kept.size:
            order.done(Done(changed=False))
            return
        # A time that our own clock does not bear out moves the bound, but vouches for nothing.
        borne_out = stated <= now + CLOCK_OFF_NS
        clock.witnessed(min(stated, now), "cosignature" if borne_out else "persisted")
        self._archive.origins.look(clock)
        self._archive.keep_cosigned(cosigned)
        self._cosigned.append((cosigned.checkpoint.size, order))


def _sealed(one: Waiting) -> Sealed:
    return Sealed(
        one.part,
        one.recording,
        one.seq,
        one.size,
        one.sha256,
        one.created_ns,
        one.until_ns,
        one.urgent,
    )
