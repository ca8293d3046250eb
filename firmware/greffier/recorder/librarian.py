"""The thread that fetches and checks for the transfer to head office, so that nobody else has to.

It opens files for reading and hands them out as descriptors, reads envelopes from the shred store,
and verifies what head office signed. It writes nothing: what was verified goes to the recorder's
loop, which decides. A disk that stalls delays it alone; of what waits for it there is a bound.
"""

import base64
import os
import stat
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greffier.audit import receipt, segments
from greffier.audit.kinds import LARGEST_NS
from greffier.audit.receipt import BadReceipt, Signed
from greffier.audit.witness import BadCosigned, Cosigned
from greffier.clock import SECOND
from greffier.control import transfer
from greffier.control.board import Handed, Order, Orders, Reply
from greffier.control.messages import Done, Failure
from greffier.control.transfer import AskEntries, AskLeaves, AskPart, Receipts
from greffier.errors import IntegrityError, NotFound, StorageFailed
from greffier.recorder import office_keys
from greffier.recorder.archive import Archive
from greffier.recorder.office_keys import Trusted
from greffier.seal.envelope import BadEnvelope, block_for
from greffier.seal.keys import Role
from greffier.store.shred_format import PART, Name

MOST_WAITING: Final = 8
KINDS: Final = (AskPart, AskEntries, AskLeaves, Receipts, transfer.Cosigned)
"""What it is asked."""
_NO_SUCH_PART: Final = Failure("refused", "no_such_part")
_DESTROYED: Final = Failure("refused", "destroyed")
_ALTERED: Final = Failure("refused", "altered")
_NO_DISK: Final = Failure("busy", "no_disk")


@dataclass(frozen=True, slots=True)
class Checked:
    """An order whose signatures were verified: each receipt, or the reason why it is none; or the
    cosigned checkpoint, or why it is none. The loop decides what comes of it.
    """

    order: Order
    found: tuple[Signed | str, ...] | Cosigned | BadCosigned


class Librarian:
    """Works from :meth:`start` until :meth:`stop`, for one opened archive."""

    def __init__(self, archive: Archive, trusted: Trusted) -> None:
        """*trusted* is what ``keys/head-office.pub`` held when the loop looked last."""
        self._archive = archive
        self._log = archive.log
        self._folder = archive.data.audit
        self._path = archive.data.head_office
        self._door = threading.Condition()
        self._look = False  # guarded by _door: somebody asked to look at the file of keys
        self._stopping = False  # guarded by _door
        self.orders = Orders(MOST_WAITING, self._wake)
        """The control server's requests of :data:`KINDS`."""
        # Its own thread's.
        self._trusted = trusted
        # Appended by its thread, popped by the loop: in the order in which it was found.
        self._found: deque[Checked | Trusted] = deque()
        self._thread = threading.Thread(target=self._run, name="librarian", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for an end, and do not wait for it: it only reads, and may be held by a disk."""
        with self._door:
            self._stopping = True
            self._door.notify()

    # --- the recorder's loop ---

    def look(self) -> None:
        """Look at the file of keys soon."""
        with self._door:
            self._look = True
            self._door.notify()

    def take(self) -> list[Checked | Trusted]:
        """What was found since, oldest first; new keys come before what they verified."""
        found: list[Checked | Trusted] = []
        while self._found:
            found.append(self._found.popleft())
        return found

    # --- any thread ---

    def _wake(self) -> None:
        with self._door:
            self._door.notify()

    # --- its own thread ---

    def _run(self) -> None:
        while self._wait():
            for order in self.orders.take():
                reply = self._reply(order)
                if reply is not None:
                    order.done(reply)
        for order in self.orders.take():
            order.done(_NO_DISK)

    def _wait(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._door:
            while not (self._stopping or self._look or len(self.orders)):
                self._door.wait()
            look, self._look = self._look, False
            if self._stopping:
                return False
        if look:
            self._look_at_keys()
        return True

    def _reply(self, order: Order) -> Reply | None:
        request = order.request
        try:
            if isinstance(request, AskPart):
                return self._part(request.part)
            if isinstance(request, AskEntries):
                return self._entries(request.seq)
            if isinstance(request, AskLeaves):
                return Handed(Done(), _opened(self._folder / segments.LEAVES))
            if isinstance(request, Receipts):
                found = tuple(map(self._checked, request.receipts))
                self._found.append(Checked(order, found))
                return None
            assert isinstance(request, transfer.Cosigned)  # noqa: S101 - the routes say so
            return self._believed(request, order)
        except (OSError, StorageFailed):
            return _NO_DISK
        except IntegrityError:
            return _ALTERED

    def _part(self, part: str) -> Reply:
        known = self._archive.unconfirmed
        if known.is_begun(part):  # asked first: what has ended by then is found below
            return _NO_SUCH_PART
        waiting = known.find(part)
        if waiting is not None and waiting.seq >= self._log.checkpoint.size:
            return _NO_SUCH_PART
        if known.is_destroyed(part):
            return _DESTROYED
        try:
            path = self._archive.vault.path_of(part)
        except NotFound:
            return _NO_SUCH_PART
        try:
            entry = self._archive.shred.read(Name(PART, bytes.fromhex(part)), path.parent.name)
            block = block_for(Role.OFFICE, entry.block)
        except NotFound:
            return _DESTROYED
        except BadEnvelope:
            return _ALTERED
        fd = _opened(path)
        if waiting is not None and os.fstat(fd).st_size != waiting.size:
            os.close(fd)
            return _ALTERED
        return Handed(transfer.PartHanded(base64.b64encode(block).decode()), fd)

    def _entries(self, seq: int) -> Reply:
        size = self._log.checkpoint.size
        for segment, end in segments.ends(segments.listed(self._folder), size):
            if segment.first <= seq < end:
                fd = _opened(self._folder / segment.name)
                return Handed(transfer.EntriesHanded(segment.first), fd)
        return Failure("refused", "no_such_entry")

    def _checked(self, text: str) -> Signed | str:
        """The receipt in *text*, or why it is none; it is unsigned after a look at the keys."""
        try:
            try:
                found = receipt.read(text.encode(), self._trusted.receipts)
            except BadReceipt as error:
                if error.code != "unsigned" or not self._look_at_keys():
                    raise
                found = receipt.read(text.encode(), self._trusted.receipts)
        except BadReceipt as error:
            return error.code
        # The log counts in nanoseconds, until the year 2262.
        return found if found.receipt.time_s <= LARGEST_NS // SECOND else "garbled"

    def _believed(self, request: transfer.Cosigned, order: Order) -> Reply | None:
        data = request.checkpoint.encode()
        try:
            try:
                found = self._log.believed(data, self._trusted.witnesses)
            except BadCosigned as error:
                if error.code != "unsigned" or not self._look_at_keys():
                    raise
                found = self._log.believed(data, self._trusted.witnesses)
        except BadCosigned as error:
            self._found.append(Checked(order, error))
            return None
        self._found.append(Checked(order, found))
        return None

    def _look_at_keys(self) -> bool:
        """Read the file of keys again; whether it has changed."""
        try:
            trusted = office_keys.load(self._path)
        except OSError:
            return False
        if trusted == self._trusted:
            return False
        self._trusted = trusted
        self._found.append(trusted)
        return True


def _opened(path: Path) -> int:
    """A descriptor of the file *path*, which is no link, for reading only. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("not a file")
    return fd
