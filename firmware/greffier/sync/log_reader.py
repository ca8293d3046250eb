"""Batches of the log, from the recorder's files: entries bit for bit, and what proves them.

The files are descriptors that the recorder handed out; they only grow, and one that was replaced is
asked for again. One thread owns an instance.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greffier.audit import batch, segments
from greffier.audit.batch import BadBatch
from greffier.audit.entry import LARGEST_ENTRY
from greffier.audit.leaftree import LeafTree
from greffier.audit.segments import BadFrame
from greffier.control import client
from greffier.control.messages import Answer, Request
from greffier.control.transfer import AskEntries, AskLeaves, EntriesHanded, Work
from greffier.errors import GreffierError
from greffier.sync.recorder_link import Away

MOST_FRAMES: Final = LARGEST_ENTRY + segments.HEAD_BYTES
"""Of a batch: 64 KiB, as much as the longest entry needs."""
_READ: Final = 1 << 18
_MARK_EVERY: Final = 1024

Fetch = Callable[[Request], tuple[Answer, int]]


@dataclass(slots=True)
class _Cursor:
    """Entry number *seq* begins at *offset* of the file that is open."""

    seq: int
    offset: int


class LogReader:
    """Reads the log of the recorder at *socket*."""

    def __init__(self, socket: Path, patience_s: float = 6.0, fetch: Fetch | None = None) -> None:
        self._fetch = fetch or (lambda request: client.fetch(socket, request, patience_s))
        self._leaves = -1
        self._tree = LeafTree(self._read_leaves)
        self._entries = -1
        self._first = 0
        self._marks: list[_Cursor] = []

    def question(self, work: Work) -> bytes:
        """The payload that asks how far head office is. Raises Away."""
        return self._joined(work, work.log_size, work.log_size, b"")

    def batch(self, work: Work, first: int) -> bytes:
        """The payload of the entries from *first* on, as many as fit. Raises Away.

        *work* must be of more than *first* entries.
        """
        frames, end = self._frames(first, work.log_size)
        return self._joined(work, first, end, frames)

    def grown(self) -> int | None:
        """How many leaves there are: an entry may become durable soon. None: nobody knows.

        Costs one system call, so that it can be asked many times a second.
        """
        if self._leaves < 0:
            return None
        found = os.fstat(self._leaves)
        if not found.st_nlink:  # it was made anew
            self.forget()
            return None
        return found.st_size // 32

    def open_leaves(self) -> None:
        """Have the file of leaves. Raises Away."""
        if self._leaves < 0:
            _, self._leaves = self._handed(AskLeaves())

    def forget(self) -> None:
        """Ask for every file again: the recorder is another, or a file did not fit."""
        for fd in (self._leaves, self._entries):
            if fd >= 0:
                with suppress(OSError):
                    os.close(fd)
        self._leaves = self._entries = -1
        self._tree = LeafTree(self._read_leaves)
        self._marks = []

    def _joined(self, work: Work, first: int, end: int, frames: bytes) -> bytes:
        try:
            self.open_leaves()
            proof = self._tree.consistency(end, work.log_size) if end != work.log_size else []
            return batch.join(first, end, work.checkpoint.encode(), tuple(proof), frames)
        except (BadBatch, ValueError, OSError) as error:
            self.forget()
            raise Away(f"the log's files do not fit: {error}") from None

    def _read_leaves(self, offset: int, size: int) -> bytes:
        return os.pread(self._leaves, size, offset)

    def _frames(self, first: int, size: int) -> tuple[bytes, int]:
        """Frames from *first* on, at least one, at most 64 KiB of them, none from *size* on."""
        try:
            found = self._from(first, size)
            if not found[0]:  # the next file
                self._close_entries()
                found = self._from(first, size)
        except (BadFrame, OSError) as error:
            self.forget()
            raise Away(f"the log's files do not fit: {error}") from None
        if not found[0]:
            self.forget()
            raise Away("the log's file ends before the checkpoint")
        return found

    def _from(self, first: int, size: int) -> tuple[bytes, int]:
        if self._entries < 0 or first < self._first:
            self._open_entries(first)
        start = self._seek(first)
        if start is None:
            return b"", first
        data = os.pread(self._entries, MOST_FRAMES, start)
        at, seq = 0, first
        while seq < size:
            try:
                entry = segments.frame_at(data, at)
            except BadFrame:
                break  # cut by the size of the reading, or this file's end
            at += segments.HEAD_BYTES + len(entry)
            seq += 1
        if seq > first:
            self._mark(seq, start + at)
        return data[:at], seq

    def _open_entries(self, seq: int) -> None:
        self._close_entries()
        answer, fd = self._handed(AskEntries(seq))
        if not isinstance(answer, EntriesHanded) or answer.first > seq:
            os.close(fd)
            raise Away("another answer than was asked for")
        self._entries, self._first = fd, answer.first
        self._marks = [_Cursor(answer.first, 0)]

    def _close_entries(self) -> None:
        if self._entries >= 0:
            os.close(self._entries)
        self._entries = -1

    def _seek(self, seq: int) -> int | None:
        """Where entry *seq* begins; None where this file ends before it. Raises OSError."""
        near = max((one for one in self._marks if one.seq <= seq), key=lambda one: one.seq)
        at, number = near.offset, near.seq
        data, base = b"", at
        while number < seq:
            here = at - base
            head = data[here : here + segments.HEAD_BYTES]
            if len(head) < segments.HEAD_BYTES:
                data, base = os.pread(self._entries, _READ, at), at
                if len(data) < segments.HEAD_BYTES:
                    return None
                continue
            at += segments.HEAD_BYTES + int.from_bytes(head[:4], "big")
            number += 1
            if number % _MARK_EVERY == 0:
                self._mark(number, at)
        return at

    def _mark(self, seq: int, offset: int) -> None:
        """Remember where *seq* begins; the latest, and now and then one on the way."""
        if self._marks and self._marks[-1].seq % _MARK_EVERY and len(self._marks) > 1:
            self._marks.pop()
        if not self._marks or self._marks[-1].seq < seq:
            self._marks.append(_Cursor(seq, offset))

    def _handed(self, request: Request) -> tuple[Answer, int]:
        try:
            return self._fetch(request)
        except GreffierError as error:
            raise Away(str(error)) from None
