"""A deletion certificate: that a part's key was destroyed, provable far from its box.

docs/deletion-certificate.md. It is the log's own entries about the part, each with its inclusion
proof (RFC 6962 section 2.1.1) under one signed checkpoint. Pure but for :func:`made_from`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from greffier import canonical, merkle
from greffier.audit import note, recovery, segments, verify
from greffier.audit.entry import BadEntry, Entry, decode, encode
from greffier.audit.note import BadNote, VerifierKey
from greffier.errors import IntegrityError, NotFound

LARGEST: Final = 1 << 20
MOST_ENTRIES: Final = 16
MOST_PROOF: Final = 64
IS: Final = "deletion-certificate"
_KEYS: Final = {"v", "is", "part", "checkpoint", "entries"}
_ENTRY_KEYS: Final = {"entry", "proof", "seq"}


class BadCertificate(ValueError):
    """Not a certificate that proves anything. ``code``: garbled, origin, unsigned, forged, entry,
    proof or story (docs/deletion-certificate.md section 3)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NotDestroyed(NotFound):
    """The log does not say that this part's key was destroyed."""

    cause = "the log does not say that the key of part {what} was destroyed"
    step = "see what is due with `greffier purge --dry-run`"


@dataclass(frozen=True, slots=True)
class Proved:
    """Entry number ``seq`` as its canonical bytes, and its inclusion proof."""

    seq: int
    raw: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it is written, nothing verified. ``checkpoint`` is a signed note."""

    part: str
    checkpoint: bytes
    entries: tuple[Proved, ...]


@dataclass(frozen=True, slots=True)
class Destruction:
    """What a verified certificate says.

    ``reason`` is the first by which the key was to be destroyed, ``deletion`` the class.
    ``not_before_ns`` is the lower bound of trusted time at the end (``source`` vouches for it),
    ``wall_ns`` the box's own clock; ``witnessed_s`` the earliest cosignature over all of it (Unix
    seconds), None where nobody witnessed it. ``size`` and ``sha256`` are None for a part that was
    destroyed before it was sealed.
    """

    origin: str
    part: str
    recording: str
    purposes: tuple[str, ...]
    created_ns: int | None
    size: int | None
    sha256: str | None
    reason: str
    deletion: str
    not_before_ns: int
    source: str
    wall_ns: int
    witnessed_s: int | None

    def as_json(self) -> dict[str, Any]:
        """Its values by name; times in ns are decimal texts."""
        return {
            "log": self.origin,
            "part": self.part,
            "recording": self.recording,
            "purposes": list(self.purposes),
            "created_ns": None if self.created_ns is None else str(self.created_ns),
            "bytes": self.size,
            "sha256": self.sha256,
            "reason": self.reason,
            "class": self.deletion,
            "not_before_ns": str(self.not_before_ns),
            "source": self.source,
            "wall_ns": str(self.wall_ns),
            "witnessed_s": self.witnessed_s,
        }


def write(certificate: Certificate) -> bytes:
    """The octets of *certificate*, with a line feed at the end."""
    entries = [
        {
            "seq": one.seq,
            "entry": one.raw.decode(),
            "proof": [node.hex() for node in one.proof],
        }
        for one in certificate.entries
    ]
    value = {
        "v": 1,
        "is": IS,
        "part": certificate.part,
        "checkpoint": certificate.checkpoint.decode(),
        "entries": entries,
    }
    return canonical.dump(value) + b"\n"


def read(data: bytes) -> Certificate:
    """The certificate in *data*, nothing verified. Raises BadCertificate (garbled)."""
    if len(data) > LARGEST or not data.endswith(b"\n"):
        raise BadCertificate("garbled", "longer than 1 MiB, or without a line feed at its end")
    try:
        value = canonical.load(data[:-1])
        if value.keys() != _KEYS or type(value["v"]) is not int or value["v"] != 1:
            raise ValueError("keys are missing or unknown, or another version")
        if value["is"] != IS or not 2 <= len(value["entries"]) <= MOST_ENTRIES:
            raise ValueError("it is no certificate of a deletion")
        entries = tuple(_proved(one) for one in value["entries"])
        certificate = Certificate(value["part"], value["checkpoint"].encode(), entries)
        if write(certificate) != data:
            raise ValueError("a value has not its form")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadCertificate("garbled", str(error)) from None
    return certificate


def _proved(value: dict[str, Any]) -> Proved:
    if value.keys() != _ENTRY_KEYS or type(value["seq"]) is not int or value["seq"] < 0:
        raise ValueError("an entry has other keys, or no number")
    if len(value["proof"]) > MOST_PROOF or any(len(one) != 64 for one in value["proof"]):
        raise ValueError("a proof is too long, or no list of hashes")
    return Proved(value["seq"], value["entry"].encode(), tuple(map(bytes.fromhex, value["proof"])))


def check(
    certificate: Certificate, log_key: VerifierKey, witnesses: Sequence[VerifierKey] = ()
) -> Destruction:
    """What *certificate* proves, under the log's key and those of trusted *witnesses*.

    Raises BadCertificate.
    """
    try:
        head = note.open_checkpoint(certificate.checkpoint, log_key, witnesses)
    except BadNote as error:
        raise BadCertificate(error.code, error.reason) from None
    found = []
    for one in certificate.entries:
        try:
            entry = decode(one.raw)
        except BadEntry as error:
            raise BadCertificate("entry", f"entry {one.seq}: {error.reason}") from None
        if entry.seq != one.seq:
            raise BadCertificate("entry", f"entry {one.seq} says that it is {entry.seq}")
        leaf = merkle.leaf_hash(one.raw)
        tree = head.checkpoint
        if not merkle.verify_inclusion(leaf, one.seq, tree.size, one.proof, tree.root):
            raise BadCertificate("proof", f"entry {one.seq} is not in the log")
        found.append(entry)
    witnessed = min((one.time_s for one in head.cosignatures), default=None)
    return _story(certificate.part, head.checkpoint.origin, found, witnessed)


def _story(
    part: str, origin: str, entries: Sequence[Entry], witnessed_s: int | None
) -> Destruction:
    """The destruction that *entries* tell. Raises BadCertificate (story)."""
    numbers = [one.seq for one in entries]
    if numbers != sorted(set(numbers)):
        raise BadCertificate("story", "its entries are not in the order of the log")
    if not all(_concerns(one, part) for one in entries):
        raise BadCertificate("story", "an entry does not concern the part")
    opened, sealed = _only(entries, "part.opened"), _last(entries, "part.sealed", "part.recovered")
    shredded = [one for one in entries if one.ev == "key.shredded"]
    last = entries[-1]
    if opened is not entries[0] or len(shredded) < 2 or shredded[0].data.get("outcome"):
        raise BadCertificate("story", "a part is opened, and its key is to be destroyed, first")
    if last.ev != "key.shredded" or last.data.get("outcome") != "done":
        raise BadCertificate("story", "it does not end with a destruction that was done")
    return Destruction(
        origin=origin,
        part=part,
        recording=opened.data["recording"],
        purposes=tuple(opened.data.get("purposes", ())),
        created_ns=opened.data.get("created_ns"),
        size=sealed.data["bytes"] if sealed else None,
        sha256=sealed.data["sha256"] if sealed else None,
        reason=shredded[0].data["reason"],
        deletion=last.data["class"],
        not_before_ns=last.t_lb_ns,
        source=last.t_src,
        wall_ns=last.t_ns,
        witnessed_s=witnessed_s,
    )


def _concerns(entry: Entry, part: str) -> bool:
    if entry.ev == "key.shredded":
        return part in entry.data.get("parts", ())
    return entry.ev in _ABOUT and entry.data["part"] == part


_ABOUT: Final = frozenset({"part.opened", "part.sealed", "part.recovered"})


def _only(entries: Sequence[Entry], kind: str) -> Entry:
    found = [one for one in entries if one.ev == kind]
    if len(found) != 1:
        raise BadCertificate("story", f"there are {len(found)} entries {kind}")
    return found[0]


def _last(entries: Sequence[Entry], *kinds: str) -> Entry | None:
    return next((one for one in reversed(entries) if one.ev in kinds), None)


def made_from(data: Path, part: str) -> Certificate:
    """The certificate of *part* from the log of the data directory *data*, which is only read.

    Under the cosigned checkpoint if that reaches the destruction, else under the box's own. Raises
    NotDestroyed, IntegrityError.
    """
    told = [one for one in verify.entries(data) if _concerns(one, part)]
    last = next((at for at, one in enumerate(told) if one.data.get("outcome") == "done"), None)
    if last is None:
        raise NotDestroyed(what=part)
    told = told[: last + 1]
    folder = data / verify.FOLDER
    try:
        size, signed = _head(folder, told[-1].seq)
        raw = (folder / segments.LEAVES).read_bytes()
        leaves = [recovery.leaf_of(raw, number) for number in range(size)]
        proofs = [
            Proved(one.seq, encode(one), tuple(merkle.inclusion_proof(leaves, one.seq, size)))
            for one in told
        ]
    except (OSError, ValueError) as error:
        raise IntegrityError(what=folder, reason=str(error)) from error
    return Certificate(part, signed, tuple(proofs))


def _head(folder: Path, seq: int) -> tuple[int, bytes]:
    """Size and octets of the first signed checkpoint that reaches entry *seq*."""
    for name in (recovery.COSIGNED, segments.CHECKPOINT):
        path = folder / name
        if path.exists():
            data = path.read_bytes()
            size = note.parse_checkpoint(note.parse(data).text).size
            if size > seq:
                return size, data
    raise ValueError("no checkpoint reaches it")
