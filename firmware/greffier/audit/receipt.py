"""Head office's word that it holds a part: a signed note (docs/sync-protocol.md section 7).

Pure. Whoever signs one, and what a device does with it, is decided elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greffier.audit import note
from greffier.audit.note import ED25519, BadNote, Signature, Signer, VerifierKey
from greffier.clock import SECOND

TITLE = "greffier/receipt@v1"
LARGEST_RECEIPT = 2048
LARGEST_PART = 1600 * 4_194_304
_LARGEST_TIME = 2**63 - 1
_LINES = (
    ("device", r"[A-Za-z0-9._-]{1,64}"),
    ("part", r"[0-9a-f]{32}"),
    ("bytes", r"[1-9][0-9]{0,9}"),
    ("sha256", r"[0-9a-f]{64}"),
    ("envelope", r"[0-9a-f]{64}"),
    ("time", r"0|[1-9][0-9]{0,18}"),
)
_TEXT = re.compile(TITLE + "\n" + "".join(f"{key} ({form})\n" for key, form in _LINES), re.ASCII)


class BadReceipt(ValueError):
    """Not a receipt that counts. ``code`` is garbled, unsigned or forged."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Receipt:
    """Head office held, at ``time_s`` (Unix seconds), ``part`` of ``device``, durably.

    ``size`` (bytes) and ``sha256`` are those of the part's whole file, ``envelope`` the SHA-256 of
    the envelope block that came with it. Raises ValueError for a value that has not its form.
    """

    device: str
    part: str
    size: int
    sha256: str
    envelope: str
    time_s: int

    def __post_init__(self) -> None:
        if not _TEXT.fullmatch(self.text) or self.size > LARGEST_PART:
            raise ValueError("a receipt's value has not its form")
        if self.time_s > _LARGEST_TIME:
            raise ValueError("a receipt's time is beyond 2**63")

    @property
    def text(self) -> str:
        """The text that is signed."""
        return (
            f"{TITLE}\ndevice {self.device}\npart {self.part}\nbytes {self.size}\n"
            f"sha256 {self.sha256}\nenvelope {self.envelope}\ntime {self.time_s}\n"
        )

    def signed(self, signer: Signer) -> bytes:
        """The receipt as it goes out."""
        return signer.sign(self.text)


@dataclass(frozen=True, slots=True)
class Signed:
    """A receipt whose signature holds, by ``key``; ``signature`` is its 64 bytes."""

    receipt: Receipt
    key: VerifierKey
    signature: bytes


def read(data: bytes, keys: Sequence[VerifierKey]) -> Signed:
    """The receipt in *data*, signed by one of *keys* of type 01. Raises BadReceipt."""
    if len(data) > LARGEST_RECEIPT:
        raise BadReceipt("garbled", "longer than 2048 octets")
    try:
        parsed = note.parse(data)
    except BadNote as error:
        raise BadReceipt("garbled", error.reason) from None
    found = _TEXT.fullmatch(parsed.text)
    if found is None or len(parsed.signatures) != 1:
        raise BadReceipt("garbled", "not the text of a receipt, or not one signature")
    try:
        receipt = Receipt(found[1], found[2], int(found[3]), found[4], found[5], int(found[6]))
    except ValueError as error:
        raise BadReceipt("garbled", str(error)) from None
    try:
        ((key, _),) = note.verified_by(parsed, [key for key in keys if key.kind == ED25519])
    except BadNote as error:
        raise BadReceipt(error.code, error.reason) from None
    return Signed(receipt, key, parsed.signatures[0].signature)


def entry_of(signed: Signed) -> dict[str, Any]:
    """What the log keeps of a receipt that was accepted: all of it (kind ``part.received``)."""
    told = signed.receipt
    return {
        "part": told.part,
        "bytes": told.size,
        "sha256": told.sha256,
        "envelope": told.envelope,
        "at_ns": told.time_s * SECOND,
        "by": signed.key.name,
        "key": signed.key.key_id.hex(),
        "signature": signed.signature.hex(),
    }


def rebuild(device: str, entry: Mapping[str, Any]) -> bytes:
    """The receipt as it came, made again from the data of its ``part.received`` in the log of
    *device*. Raises ValueError where that is no receipt.
    """
    receipt = Receipt(
        device,
        entry["part"],
        entry["bytes"],
        entry["sha256"],
        entry["envelope"],
        entry["at_ns"] // SECOND,
    )
    signature = Signature(
        entry["by"], bytes.fromhex(entry["key"]), bytes.fromhex(entry["signature"])
    )
    return note.with_signature(receipt.text, signature)
