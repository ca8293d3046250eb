"""What sync asks the recorder: the only way to anything that it keeps (docs/control-protocol.md).

Each question waits a bounded time. A recorder that is away, restarts or stalls is an answer too:
:class:`Away`; whoever asked waits and asks again. Descriptors are read by offset and never trusted:
a part is offered only when its length and SHA-256 are what ``work`` said.
"""

import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from greffier.control import client
from greffier.control.messages import Answer, Done, Request
from greffier.control.transfer import (
    AskPart,
    AskWork,
    Cosigned,
    PartHanded,
    Receipts,
    Sealed,
    SyncReport,
    Taken,
    Work,
)
from greffier.errors import GreffierError, IntegrityError, NotAllowed, Refused
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Offered

PATIENCE_S: Final = 6.0
WORK_PAGE: Final = 256
_MOST_HASHES: Final = 16_384
_GONE: Final = frozenset({"no_such_part", "destroyed"})
Wanted = TypeVar("Wanted")


class Away(Exception):
    """The recorder does not answer, or not now; the text says how."""


class Gone(Exception):
    """The part waits no more: it is not there, or its key is destroyed."""


class Altered(Exception):
    """A part's file is not what the recorder said of it."""


class NotBelieved(Exception):
    """The recorder refused something by this word."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What is offered of a part, and its file; the caller closes the descriptor."""

    offered: Offered
    fd: int


class RecorderLink:
    """One thread owns an instance."""

    def __init__(self, socket: Path, patience_s: float = PATIENCE_S) -> None:
        self._socket = socket
        self._patience_s = patience_s
        self._hashes: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()
        self._hashed = 0

    def work(self, after: int = 0, most: int = WORK_PAGE) -> Work:
        """The log's head, and parts that wait. Raises Away."""
        return self._asked(AskWork(after, most), Work)

    def part(self, sealed: Sealed) -> Ready:
        """Everything for the offer of *sealed*. Raises Away, Gone, Altered, ValueError (too large).

        The blocks' hashes of a part are kept (in memory, bounded), so that an offer that is made
        again does not read all of it again.
        """
        try:
            answer, fd = client.fetch(self._socket, AskPart(sealed.part), self._patience_s)
        except Refused as error:
            word = str(error.fields.get("word", ""))
            if word in _GONE:
                raise Gone(word) from None
            raise (Altered if word == "altered" else Away)(str(error)) from None
        except IntegrityError as error:
            raise Away(str(error)) from None
        except GreffierError as error:
            raise Away(str(error)) from None
        try:
            if not isinstance(answer, PartHanded):
                raise Away("another answer than was asked for")
            blocks = self._blocks(sealed, fd)
            offered = Offered(
                sealed.part, sealed.size, sealed.sha256, blocks, answer.envelope, sealed.urgent
            )
        except BaseException:
            os.close(fd)
            raise
        return Ready(offered, fd)

    def receipts(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """What the recorder made of each receipt. Raises Away."""
        taken = self._asked(Receipts(texts), Taken)
        if len(taken.results) != len(texts):
            raise Away("not as many results as receipts")
        return taken.results

    def cosigned(self, checkpoint: str) -> None:
        """Hand a cosigned checkpoint over. Raises Away, NotBelieved."""
        self._asked(Cosigned(checkpoint), Done)

    def report(self, report: SyncReport) -> None:
        """Say how it goes. Raises Away."""
        self._asked(report, Done)

    def _asked(self, request: Request, wanted: type[Wanted]) -> Wanted:
        answer = ask(self._socket, request, self._patience_s)
        if not isinstance(answer, wanted):
            raise Away("another answer than was asked for")
        return answer

    def _blocks(self, sealed: Sealed, fd: int) -> tuple[str, ...]:
        """The SHA-256 of each block of the file at *fd*. Raises Altered, Away."""
        key = (sealed.part, sealed.sha256)
        if os.fstat(fd).st_size != sealed.size:
            raise Altered("another length")
        known = self._hashes.get(key)
        if known is not None:
            self._hashes.move_to_end(key)
            return known
        blocks, whole = _hashed(fd, sealed.size)
        if whole != sealed.sha256:
            raise Altered("another SHA-256")
        self._hashes[key] = blocks
        self._hashed += len(blocks)
        while self._hashed > _MOST_HASHES and len(self._hashes) > 1:
            self._hashed -= len(self._hashes.popitem(last=False)[1])
        return blocks


def ask(socket: Path, request: Request, patience_s: float = PATIENCE_S) -> Answer:
    """The recorder's answer. Raises Away, NotBelieved (it refused what was handed over)."""
    try:
        return client.ask(socket, request, patience_s)
    except Refused as error:
        if error.fields.get("code") == "refused" and isinstance(request, Cosigned | Receipts):
            raise NotBelieved(str(error.fields.get("word", ""))) from None
        raise Away(str(error)) from None
    except (NotAllowed, GreffierError) as error:
        raise Away(str(error)) from None


def _hashed(fd: int, size: int) -> tuple[tuple[str, ...], str]:
    """The SHA-256 of each block, and of the whole. Raises Away where the file cannot be read."""
    whole = hashlib.sha256()
    blocks = []
    at = 0
    try:
        while at < size:
            data = os.pread(fd, min(BLOCK, size - at), at)
            if not data:
                raise Altered("it has become shorter")
            while len(data) < min(BLOCK, size - at):
                more = os.pread(fd, min(BLOCK, size - at) - len(data), at + len(data))
                if not more:
                    raise Altered("it has become shorter")
                data += more
            blocks.append(hashlib.sha256(data).hexdigest())
            if size > BLOCK:  # else the block is the whole
                whole.update(data)
            at += len(data)
    except OSError as error:
        raise Away(error.strerror or type(error).__name__) from None
    if len(blocks) == 1:
        return tuple(blocks), blocks[0]
    return tuple(blocks), whole.hexdigest()
