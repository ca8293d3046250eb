"""An offer against what the log says of the part. Pure (docs/sync-protocol.md section 5)."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, What
from greffier.seal.keys import Role
from greffier.sync.messages import Later, Offered, Refused
from greffier_office.catalogue import Log, Part
from greffier_office.steps import Key

LATER_LOG_S: Final = 2
PATIENCE_S: Final = 60.0
"""An offer may overtake the log. A part is unknown when a checkpoint that came so much later than
the offer, and of which every entry is here, does not name it."""
_MOST_UNKNOWN: Final = 4096


@dataclass(slots=True)
class _Unknown:
    """Since when a part is offered, s, and the cosignature there was when patience had ended."""

    since_s: float
    cosigned_ns: int | None = None


@dataclass(slots=True)
class Unknowns:
    """Parts that were offered and that the log does not name.

    A bounded memory, and no loss if it forgets: the box is told to come back. One thread owns it.
    """

    parts: OrderedDict[Key, _Unknown] = field(default_factory=OrderedDict)

    def refuses(self, key: Key, log: Log, now_s: float) -> bool:
        """Whether the box has had its time to send what names the part, and did send its log.

        Time alone proves nothing: the line may have been cut since the first offer.
        """
        one = self.parts.setdefault(key, _Unknown(now_s))
        while len(self.parts) > _MOST_UNKNOWN:
            self.parts.popitem(last=False)
        if now_s - one.since_s <= PATIENCE_S:
            return False
        if one.cosigned_ns is None:
            one.cosigned_ns = log.cosigned_ns
        return log.cosigned_ns != one.cosigned_ns and log.cosigned_size == log.size

    def forget(self, key: Key) -> None:
        """The log names it now."""
        self.parts.pop(key, None)


def judge(
    row: Part | None,
    log: Log,
    offered: Offered,
    key: Key,
    unknowns: Unknowns,
    now_s: float,
    wall_ns: int = 0,
) -> Later | Refused | None:
    """Why *offered* is not taken (now); None if the log says that this is the part.

    *wall_ns* is head office's clock: a part whose end has come is not taken any more.
    """
    if row is not None and (row.deleted or (row.until_ns is not None and row.until_ns <= wall_ns)):
        return Refused(offered.part, "deleted")
    if row is None or row.sha256 is None:
        if row is None and unknowns.refuses(key, log, now_s):
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
