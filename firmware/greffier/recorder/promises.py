"""Answers that are given when the log has made durable what they say.

The recorder's thread owns a Promises.
"""

from dataclasses import dataclass, field

from greffier.audit.log import Log
from greffier.control.board import Order
from greffier.control.messages import Answer


@dataclass(slots=True)
class Promises:
    """Orders that were carried out in memory."""

    log: Log
    _made: list[tuple[int, Order, Answer]] = field(default_factory=list)  # by the seq of an entry

    def make(self, seq: int, order: Order, answer: Answer) -> None:
        """Answer *order* once the entry *seq* is durable."""
        self._made.append((seq, order, answer))

    def keep(self) -> None:
        """Answer those whose entries are durable by now."""
        if not self._made:
            return
        durable = self.log.checkpoint.size
        for seq, order, answer in self._made:
            if seq < durable:
                order.done(answer)
        self._made = [one for one in self._made if one[0] >= durable]

    def __len__(self) -> int:
        return len(self._made)
