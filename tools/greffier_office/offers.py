"""An offer against what the log says of the part. Pure (docs/sync-protocol.md section 5)."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, What
from greffier.seal.keys import Role
from greffier.sync.messages import Later, Offered, Refused
from greffier_office.catalogue import Log, Part
from greffier_office.steps import Key

LATER_LOG_S: Final = 2
PATIENCE_S: Final = 60.0
"""An offer may overtake the log: a part is unknown when the log is whole and does not name it for
so long."""
_MOST_UNKNOWN: Final = 4096


@dataclass(slots=True)
class Unknowns:
    """Parts that were offered and that the log does not name, with the time of the first offer.

    A bounded memory, and no loss if it forgets: the box is told to come back. One thread owns it.
    """

    since: OrderedDict[Key, float]

    def waited(self, key: Key, now_s: float) -> float:
        """Seconds since the first of these offers; 0 at the first."""
        first = self.since.setdefault(key, now_s)
        while len(self.since) > _MOST_UNKNOWN:
            self.since.popitem(last=False)
        return now_s - first

    def forget(self, key: Key) -> None:
        """The log names it now."""
        self.since.pop(key, None)


def judge(
    row: Part | None, log: Log, offered: Offered, key: Key, unknowns: Unknowns, now_s: float
) -> Later | Refused | None:
    """Why *offered* is not taken (now); None if the log says that this is the part."""
    if row is None or row.sha256 is None:
        whole = log.size > 0 and log.size == log.head_size
        if unknowns.waited(key, now_s) > PATIENCE_S and whole and row is None:
            return Refused(offered.part, "unknown")
        return Later(offered.part, "log", LATER_LOG_S)
    unknowns.forget(key)
    if row.size != offered.size or row.sha256 != offered.sha256:
        return Refused(offered.part, "hash")
    if len(offered.blocks) == 1 and offered.blocks[0] != offered.sha256:
        return Refused(offered.part, "hash")
    block = offered.envelope_block
    if row.envelope != hashlib.sha256(block).hexdigest() or not for_office(block):
        return Refused(offered.part, "envelope")
    return None


def for_office(block: bytes) -> bool:
    """Whether *block* is one envelope of a part's key for head office, and nothing else."""
    try:
        records = envelope.parse_block(block)
    except BadEnvelope:
        return False
    return len(records) == 1 and (records[0].role, records[0].what) == (Role.OFFICE, What.PART)
