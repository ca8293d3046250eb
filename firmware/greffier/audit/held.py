"""Whether a part was destroyed although two persons held it (docs/audit-format.md section 6). Pure.

What overrides a hold is known by its reason: somebody's right to be forgotten, where the hold came
after they asked; a refusal, and what else takes away the ground on which a call is recorded.
"""

from dataclasses import dataclass, field
from typing import Final

from greffier.audit.entry import Entry

OVERRIDING: Final = frozenset({"erased", "refused", "private", "reclassified"})
"""Reasons of a ``key.shredded`` that may stand against a hold."""


@dataclass(slots=True)
class Held:
    """Reads the entries in order; one thread owns an instance."""

    _names: dict[str, frozenset[str]] = field(
        default_factory=dict
    )  # standing hold -> what it holds
    _recordings: dict[str, str] = field(default_factory=dict)  # part that is there -> its recording

    def read(self, entry: Entry) -> list[str]:
        """Take in the next entry; the parts that it gives up although they are held."""
        data = entry.data
        if entry.ev == "part.opened":
            self._recordings[data["part"]] = data["recording"]
        elif entry.ev == "hold.placed":
            names = data.get("parts") or [data.get("recording", "")]
            self._names[data["hold"]] = frozenset(names)
        elif entry.ev == "hold.released":
            self._names.pop(data["hold"], None)
        elif entry.ev == "key.shredded":
            return [part for part in data.get("parts", ()) if self._goes(part, data["reason"])]
        return []

    def _goes(self, part: str, reason: str) -> bool:
        """Whether the part, which is given up now, was there and is held."""
        recording = self._recordings.pop(part, None)  # what is said again of it is no second time
        if recording is None or reason in OVERRIDING:
            return False
        return any(part in names or recording in names for names in self._names.values())
