"""The end of a box: its keys are destroyed, and a certificate says so.

Order: the last entry of the log, the certificate, then the effaceable key, the operators' peppers,
the keys, everything else (docs/operator-keys.md section 8). A kill at any instant is finished by
the same command again: the certificate that lies in the folder says that the rest has to go.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from greffier import trust
from greffier.audit.note import Signer
from greffier.clock import format_time
from greffier.durable import Disk
from greffier.errors import TpmFailed, TpmLost
from greffier.recorder.archive import Archive
from greffier.store.layout import DECOMMISSIONED, DataDirectory
from greffier.trust import pepper, roots
from greffier.trust.effaceable import DeletionClass
from greffier.trust.operators import Proof
from greffier.trust.tpm_chip import connector
from greffier.trust.wrapping import BadCard, Card, parse_card

PURPOSE = "device.decommission"
_KEPT = {DECOMMISSIONED, "lock"}


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is on a box: parts, how many of them head office has not confirmed, how many are held,
    and what destroying the keys is worth.
    """

    parts: int
    unsynced: int
    held: int
    deletion: DeletionClass


@dataclass(frozen=True, slots=True)
class Agreed:
    """Who agreed: an operator's key id, and their signature of the statement."""

    operator: str
    proof: Proof


def take_stock(archive: Archive) -> Inventory:
    """Count what would be destroyed. Raises StorageFailed, IntegrityError."""
    rows = archive.index.parts()
    unsynced = sum(not archive.unconfirmed.is_received(row.part_id) for row in rows)
    held = sum(bool(archive.holds.standing(row.part_id, row.recording)) for row in rows)
    return Inventory(len(rows), unsynced, held, archive.shred.class_name)


def statement(data: DataDirectory, inventory: Inventory, at_ns: int) -> bytes:
    """The octets that two operators sign."""
    words = f"{data.identity.device} {inventory.parts} {inventory.unsynced} {at_ns}"
    return words.encode("ascii")


def announce(archive: Archive, inventory: Inventory, at_ns: int, agreed: Sequence[Agreed]) -> bytes:
    """Write the last entry and the certificate, both durable; returns it. Raises StorageFailed.

    From here on no recorder begins here any more.
    """
    entry = {
        "device": archive.data.identity.device,
        "class": inventory.deletion,
        "at_ns": at_ns,
        "parts": inventory.parts,
        "unsynced": inventory.unsynced,
    }
    by = [one.operator for one in agreed]
    archive.log.append("device.decommissioned", None, entry | ({"by": by} if by else {}))
    archive.log.commit()
    certificate = _certificate(archive, inventory, at_ns, agreed)
    archive.disk.write_file(archive.data.path / DECOMMISSIONED, certificate)
    return certificate


def destroy(path: Path, disk: Disk) -> list[str]:
    """Destroy what is left in the folder *path*, whose certificate is written; what could not be.

    The lock is held. Raises TpmFailed (the effaceable key is in a TPM that cannot be asked: nothing
    after it is done), StorageFailed.
    """
    complaints = []
    with suppress(TpmLost):  # another store's, or gone: then nothing of ours is in it
        roots.destroy_root(path / "shred", disk)
    for card in _cards(path / "keys" / "operators"):
        if not _destroy_pepper(card):
            complaints.append(card.operator.name)
    for folder in ("keys", "shred", "vault", "audit"):
        _remove_tree(path / folder, disk)
    rest = [one for one in path.iterdir() if one.name not in _KEPT]
    for one in rest:
        if one.is_dir() and not one.is_symlink():
            _remove_tree(one, disk)
    disk.remove([one for one in rest if one.exists() or one.is_symlink()])
    return complaints


def _certificate(
    archive: Archive, inventory: Inventory, at_ns: int, agreed: Sequence[Agreed]
) -> bytes:
    key = trust.load_log_key(archive.data.log_key)
    head = archive.log.checkpoint
    lines = [
        "greffier/decommission@v1",
        f"device {archive.data.identity.device}",
        f"at {format_time(at_ns, digits=0)} {at_ns}",
        f"class {inventory.deletion}",
        f"parts {inventory.parts} unsynced {inventory.unsynced}",
        f"log {head.size} {head.root.hex()}",
        *(f"operator {one.operator} {one.proof.signature.hex()}" for one in agreed),
    ]
    return Signer(key.name, key.private).sign("\n".join(lines) + "\n")


def _cards(folder: Path) -> list[Card]:
    """Every card that lies there, whether the log lists it or not."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        with suppress(OSError, BadCard):
            found.append(parse_card(path.read_bytes()))
    return found


def _destroy_pepper(card: Card) -> bool:
    if card.nv is None:
        return True
    try:
        connect = connector()
        if connect is None:
            return False
        pepper.remove(connect, card.nv)
    except TpmFailed:
        return False
    return True


def _remove_tree(folder: Path, disk: Disk) -> None:
    """Remove *folder* and all below it. Raises StorageFailed."""
    if folder.is_symlink() or not folder.is_dir():
        return
    below = sorted(folder.rglob("*"), key=lambda one: len(one.parts), reverse=True)
    files = [one for one in below if one.is_symlink() or not one.is_dir()]
    disk.remove(files)
    for one in (*(one for one in below if one not in set(files)), folder):
        disk.remove_dir(one)
