"""Who let whom in: each operator but the first was let in by one who was there, with a signature.

docs/operator-keys.md section 1, purpose ``operator.add``. Pure: the entries carry all that is
needed, so it can be checked after the cards are gone.
"""

from dataclasses import dataclass, field

from greffier.audit.entry import Entry
from greffier.trust.operators import signature_holds

PURPOSE = "operator.add"


@dataclass(slots=True)
class Vouching:
    """Reads the entries in order; one thread owns an instance."""

    _listed: dict[str, str] = field(default_factory=dict)  # key id -> key of signatures, hex

    def read(self, entry: Entry) -> str | None:
        """Take in the next entry; what is wrong with it, or None."""
        data = entry.data
        if entry.ev == "operator.removed":
            self._listed.pop(data["operator"], None)
        if entry.ev != "operator.added":
            return None
        key_id, verify = data["operator"], data["verify"]
        known = self._listed or {key_id: verify}  # the first one lets themselves in
        wrong = None
        if data.get("by") not in known:
            wrong = f"operator {key_id} was let in by nobody who was there"
        elif not signature_holds(
            bytes.fromhex(known[data["by"]]),
            bytes.fromhex(data.get("signature", "")),
            PURPOSE,
            bytes.fromhex(data["card"]),
        ):
            wrong = f"the signature under operator {key_id} does not hold"
        self._listed[key_id] = verify
        return wrong
