"""What head office really holds: every part whose receipt it has, read back and compared."""

import hashlib
import sqlite3

from greffier.audit import receipt
from greffier.audit.receipt import BadReceipt
from greffier_office.place import Office
from greffier_sim.soak_sync_reader import envelope_block


class NotHeld(Exception):
    """Head office gave a receipt for something that it does not hold: what, in one line."""


def held_parts(office: Office) -> set[tuple[str, str]]:
    """(device, part) of every row with a receipt.

    The receipt verifies and is of that row; the objects of its blocks are the part's file, the
    envelope is the receipt's. Raises NotHeld.
    """
    keys = office.public_keys()
    found: set[tuple[str, str]] = set()
    catalogue = sqlite3.connect(f"file:{office.catalogue}?mode=ro", uri=True)
    envelopes = sqlite3.connect(f"file:{office.envelopes}?mode=ro", uri=True)
    envelopes.row_factory = sqlite3.Row
    try:
        rows = catalogue.execute(
            "SELECT device, part, bytes, sha256, receipt FROM parts WHERE receipt IS NOT NULL"
        )
        for device, part, size, sha256, text in rows.fetchall():
            name = f"{device}/{part}"
            try:
                signed = receipt.read(text.encode(), keys).receipt
            except BadReceipt as error:
                raise NotHeld(f"the receipt of {name}: {error}") from error
            if (signed.device, signed.part, signed.size, signed.sha256) != (
                *(device, part, size, sha256),
            ):
                raise NotHeld(f"the receipt of {name} is another part's")
            whole = hashlib.sha256()
            length = 0
            for (object_name,) in catalogue.execute(
                "SELECT object FROM part_blocks JOIN blocks USING (sha256)"
                " WHERE device = ? AND part = ? ORDER BY number",
                (device, part),
            ):
                octets = (office.objects / object_name).read_bytes()
                whole.update(octets)
                length += len(octets)
            if (length, whole.hexdigest()) != (size, sha256):
                raise NotHeld(f"the objects of {name} are not its file")
            kept = envelopes.execute(
                "SELECT * FROM envelopes WHERE device = ? AND part = ?", (device, part)
            ).fetchone()
            block = envelope_block(office.path, kept) if kept else b""
            if hashlib.sha256(block).hexdigest() != signed.envelope:
                raise NotHeld(f"the envelope of {name} is not the receipt's")
            found.add((device, part))
    finally:
        catalogue.close()
        envelopes.close()
    return found
