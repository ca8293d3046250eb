"""An epoch: a day and a run of this process, with two keys that live in its memory alone.

The metadata key opens the numbers in the calls journal; it is sealed to head office and, where
there is one, to the console. The sampling key makes the draws; it is sealed to head office alone,
and its commitment goes to the log before the first draw, so nobody can choose who is recorded. When
the epoch ends it is revealed there; of one that a kill ended only the sealed copy is left.
"""

import secrets
from dataclasses import dataclass, field

from greffier.clock import Clock, day_of
from greffier.policy import sampling
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier.seal.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Epoch:
    """``name`` is ``YYYY-MM-DD.xxxxxxxx``; ``metadata`` and ``sampling`` are its 32-byte keys."""

    name: str
    opened_ns: int
    metadata: bytes = field(repr=False)
    sampling: bytes = field(repr=False)

    @property
    def commit(self) -> str:
        """What the log holds of the sampling key until it is revealed, 64 hex digits."""
        return sampling.commit(self.name, self.sampling)

    @property
    def revealed(self) -> dict[str, str]:
        """What the log says when the epoch ends: nothing more is drawn under its key."""
        return {"epoch": self.name, "key": self.sampling.hex()}

    def metadata_envelopes(self, recipients: list[PublicKey]) -> bytes:
        """The envelope block of the metadata key, for the shred store."""
        return envelope.seal(self.metadata, What.METADATA, envelope.epoch_id(self.name), recipients)

    def sampling_envelopes(self, office: PublicKey) -> bytes:
        """The envelope block of the sampling key, for the entry that opens the epoch."""
        return envelope.seal(self.sampling, What.SAMPLING, envelope.epoch_id(self.name), [office])


def new(clock: Clock) -> Epoch:
    """An epoch that begins now, with fresh keys."""
    now = clock.wall_ns()
    name = f"{day_of(now)}.{secrets.token_hex(4)}"
    return Epoch(name, now, secrets.token_bytes(32), secrets.token_bytes(32))
