"""A box that is played by hand: a log, parts and what it says of them, honest or not.

No recorder and no disk stand behind it: the log's entries lie in memory, so that a story can fork
it, take it back or let it say what is not so, with signatures that hold.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greffier import merkle
from greffier.audit import batch as batches
from greffier.audit import entry as entries
from greffier.audit.entry import Entry
from greffier.audit.note import Checkpoint, Signer
from greffier.clock import BUILT_NS
from greffier.seal import envelope, keys
from greffier.seal.envelope import What
from greffier.seal.keys import Role
from greffier.sync import chunk, messages
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Offer, Offered
from greffier.trust import LogKey


@dataclass(frozen=True, slots=True)
class Held:
    """A part: its id (32 hex digits), its file's octets and head office's envelope block."""

    part: str
    octets: bytes
    envelope: bytes

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.octets).hexdigest()

    @property
    def blocks(self) -> tuple[str, ...]:
        """The hash of each of its blocks."""
        return tuple(
            hashlib.sha256(self.octets[at : at + BLOCK]).hexdigest()
            for at in range(0, len(self.octets), BLOCK)
        )

    def offered(self) -> Offered:
        """What an honest box says of it."""
        sealed_to = base64.b64encode(self.envelope).decode()
        return Offered(self.part, len(self.octets), self.sha256, self.blocks, sealed_to)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Its octets from *start* to *end* as payloads."""
        end = len(self.octets) if end is None else end
        while start < end:
            size = min(chunk.LARGEST_CHUNK, end - start, BLOCK - start % BLOCK)
            data = self.octets[start : start + size]
            yield chunk.encode(bytes.fromhex(self.part), start, data)
            start += size


def offer(*parts: Offered) -> bytes:
    """The payload that offers *parts*."""
    return messages.write(Offer(parts))


@dataclass
class HandBox:
    """A log under *key*, whose name is the log's origin."""

    key: LogKey
    log: list[bytes] = field(default_factory=list)

    def say(self, kind: str, rec: str | None = None, **data: Any) -> None:
        """Add an entry, with a salt of its own. Raises BadEntry."""
        self.log.append(self._entry(len(self.log), kind, rec, data))

    @staticmethod
    def _entry(seq: int, kind: str, rec: str | None, data: Mapping[str, Any]) -> bytes:
        now = BUILT_NS + seq
        salt = secrets.token_hex(16)
        return entries.encode(
            Entry(seq, "0" * 32, seq, now, BUILT_NS, "build", kind, rec, salt, data)
        )

    def hold(self, size: int, told: Mapping[str, Any] | None = None) -> Held:
        """Make a part of *size* random octets, and log its beginning and its end.

        *told* replaces what the entry of the end says (``{"sha256": ...}``).
        """
        part, recording = secrets.token_hex(16), secrets.token_hex(16)
        office = keys.generate(Role.OFFICE).public
        sealed = envelope.seal(bytearray(32), What.PART, bytes.fromhex(part), [office])
        held = Held(part, os.urandom(size), sealed)
        hashed = hashlib.sha256(held.envelope).hexdigest()
        common = {"part": part, "recording": recording, "number": 0}
        self.say("part.opened", recording, **common, envelope=hashed)
        end = {"bytes": size, "sha256": held.sha256, "root": "0" * 64, "commitment": "0" * 64}
        end |= {"frames": 1, "end": "finished"} | dict(told or {})
        self.say("part.sealed", recording, **common, **end)
        return held

    def checkpoint(self, log: Sequence[bytes] | None = None) -> bytes:
        """A signed checkpoint over *log*, or over its own."""
        leaves = [merkle.leaf_hash(one) for one in (self.log if log is None else log)]
        head = Checkpoint(self.key.name, len(leaves), merkle.root(leaves))
        return Signer(self.key.name, self.key.private).sign(head.text)

    def batch(
        self,
        first: int = 0,
        end: int | None = None,
        log: Sequence[bytes] | None = None,
        checkpoint: bytes = b"",
    ) -> bytes:
        """The payload that carries the entries *first* .. *end* - 1 of *log*, or of its own.

        *checkpoint* replaces the one that belongs there.
        """
        log = self.log if log is None else log
        end = len(log) if end is None else end
        leaves = [merkle.leaf_hash(one) for one in log]
        proof = merkle.consistency_proof(leaves, end, len(log)) if 0 < end < len(log) else []
        signed = checkpoint or self.checkpoint(log)
        return batches.encode(batches.Batch(first, tuple(log[first:end]), signed, tuple(proof)))
