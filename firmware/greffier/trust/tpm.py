"""Class A: the effaceable key lies in two NV indices of a TPM (docs/shred-format.md).

Two, because no specification promises that an NV write is all or nothing when power goes: at any
instant one of them is whole. Overwriting the first is the commit, the second completes the erasure.
"""

import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from greffier.errors import IntegrityError, TpmFailed, TpmLost
from greffier.language import translate as _
from greffier.trust.effaceable import DeletionClass
from greffier.trust.tpm_chip import Chip, Connect
from greffier.trust.tpm_wire import AUTH_READ, AUTH_WRITE, NO_DA, WRITE_ALL, WRITTEN, Index

FIRST_HANDLE, PAIRS = 0x01500010, 8
ATTRIBUTES = AUTH_READ | AUTH_WRITE | WRITE_ALL | NO_DA

_MAGIC = bytes.fromhex("894753540D0A1A0A")
_FORM = struct.Struct(">8sQ16s32s")
CELL_SIZE = _FORM.size + 4


class BadCell(ValueError):
    """The bytes are not what Greffier writes into an NV index; ``offset`` says where it showed."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What one NV index holds: the key, how often it was replaced, and whose it is."""

    sequence: int
    store: bytes
    key: bytes

    def to_bytes(self) -> bytes:
        """Its 68 bytes."""
        body = _FORM.pack(_MAGIC, self.sequence, self.store, self.key)
        return body + zlib.crc32(body).to_bytes(4, "big")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises BadCell."""
        if len(data) != CELL_SIZE:
            raise BadCell("wrong length", len(data))
        magic, sequence, store, key = _FORM.unpack_from(data)
        if magic != _MAGIC:
            raise BadCell("wrong magic", 0)
        if zlib.crc32(data[: _FORM.size]) != int.from_bytes(data[_FORM.size :], "big"):
            raise BadCell("wrong checksum", _FORM.size)
        return cls(sequence, store, key)


@dataclass(frozen=True, slots=True)
class Place:
    """Which two indices belong to a store, and the random name it was given when it was made."""

    store: bytes
    handles: tuple[int, int]


def places() -> Iterator[tuple[int, int]]:
    """Every pair of handles that a store may have, in the order in which they are tried."""
    for number in range(PAIRS):
        yield FIRST_HANDLE + 2 * number, FIRST_HANDLE + 2 * number + 1


def find_place(connect: Connect) -> Place:
    """The first pair of indices that nobody has, for a new store; none is made yet.

    Raises TpmFailed.
    """
    with Chip(connect) as chip:
        for pair in places():
            if not any(chip.look(handle) for handle in pair):
                return Place(secrets.token_bytes(16), pair)
    reason = _("all indices for recorders are taken, free one with tpm2_nvundefine")
    raise TpmFailed(reason=reason)


class TpmRoot:
    """Class A. Every call is a conversation of its own; the TPM takes them one by one."""

    class_name: DeletionClass = "A"

    def __init__(self, place: Place, connect: Connect) -> None:
        self._place = place
        self._connect = connect

    def make(self) -> None:
        """Make the indices that are missing, empty. Raises TpmFailed, TpmLost."""
        with Chip(self._connect) as chip:
            for handle in self._place.handles:
                if chip.look(handle) is None and not chip.define(_ours(handle)):
                    raise TpmFailed(reason=_named(_("NV index {index} was just taken"), handle))
            self._cells(chip)

    def unmake(self) -> None:
        """Remove the indices that are this store's, and the key. Raises TpmFailed, TpmLost."""
        with Chip(self._connect) as chip:
            if all(chip.look(handle) is None for handle in self._place.handles):
                return
            self._cells(chip)  # nobody else's index is ever removed
            for handle in self._place.handles:
                if chip.look(handle) is not None:
                    chip.undefine(handle)

    def read(self) -> bytes:
        with Chip(self._connect) as chip:
            cells = self._cells(chip)
            newest = max((cell for cell in cells.values() if cell), default=None)
            if newest is None:
                raise IntegrityError(
                    what="the effaceable key in the TPM", reason="no copy can be read"
                )
            for handle, cell in cells.items():
                if cell != newest:
                    self._put(chip, handle, newest)
            return newest.key

    def peek(self) -> list[bytes]:
        with Chip(self._connect) as chip:
            found = {cell for cell in self._cells(chip).values() if cell}
        return [cell.key for cell in sorted(found, reverse=True)]

    def replacements(self) -> int:
        """How often the key was replaced: so often was each index written.

        Raises TpmFailed, TpmLost.
        """
        with Chip(self._connect) as chip:
            cells = self._cells(chip).values()
        return max((cell.sequence for cell in cells if cell), default=0)

    def replace(self, new: bytes) -> None:
        if len(new) != 32:
            raise ValueError("an effaceable key has 32 bytes")
        with Chip(self._connect) as chip:
            cells = self._cells(chip)
            sequence = max((cell.sequence for cell in cells.values() if cell), default=0) + 1
            for handle in cells:
                self._put(chip, handle, Cell(sequence, self._place.store, new))

    def _cells(self, chip: Chip) -> dict[int, Cell | None]:
        """What the indices hold; None where nothing whole is. Nothing is changed.

        Raises TpmFailed, TpmLost.
        """
        cells: dict[int, Cell | None] = {}
        missing = 0
        for handle in self._place.handles:
            index = chip.look(handle)
            cells[handle] = None
            if index is None:
                missing += 1
                continue
            if index != _ours(handle, index.attributes & WRITTEN):
                raise TpmLost(reason=_named(_("NV index {index} is of another kind"), handle))
            try:
                cell = Cell.parse(chip.read(handle, CELL_SIZE) or b"")
            except BadCell:
                continue
            if cell.store != self._place.store:
                reason = _("NV index {index} is that of another data directory")
                raise TpmLost(reason=_named(reason, handle))
            cells[handle] = cell
        if missing == len(cells):
            raise TpmLost(reason=_("it was cleared, or is another one"))
        return cells

    def _put(self, chip: Chip, handle: int, cell: Cell) -> None:
        if chip.look(handle) is None:
            chip.define(_ours(handle))
        chip.write(handle, cell.to_bytes())


def _named(words: str, handle: int) -> str:
    return words.format(index=f"{handle:08x}")


def _ours(handle: int, written: int = 0) -> Index:
    return Index(handle, ATTRIBUTES | written, CELL_SIZE)
