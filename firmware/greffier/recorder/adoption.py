"""Adopting a policy: two known people signed it, and it compiles; else the old one goes on.

docs/policy-signing.md: the signature file is a C2SP signed note whose text is two lines,
``greffier-policy`` and the SHA-256 of the policy file in hex. An import may do without; the live
recorder may not. Which policy runs, and what replaces it, is the matter of
:mod:`greffier.recorder.governing`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from greffier.audit import note
from greffier.audit.kinds import NAME
from greffier.audit.note import BadNote, VerifierKey
from greffier.errors import BadPolicy
from greffier.language import translate as _
from greffier.policy import check, rules
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

HEAD: Final = "greffier-policy"
SIGNERS_NEEDED: Final = 2
LARGEST: Final = 262_144
LARGEST_SIGNATURE: Final = 4096


class NotAdopted(BadPolicy):
    """A policy that no recorder may run; ``code`` is of docs/policy-signing.md section 3."""

    def __init__(self, **fields: object) -> None:
        super().__init__(**fields)
        self.code = str(fields.get("code", "malformed"))
        self.sha256 = str(fields.get("sha256", ""))


def refused(code: str, path: object, reason: object, sha256: str = "") -> NotAdopted:
    """The error for the policy *path*, whose content has the hash *sha256* where it was read."""
    return NotAdopted(path=path, reason=reason, code=code, sha256=sha256)


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed: a key, and its 64 octets."""

    key: VerifierKey
    signature: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy that two persons signed and that compiles, with the bytes that they signed."""

    policy: Policy
    content: bytes
    signature: bytes
    signed: tuple[Signed, ...]


def sha256_of(content: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def statement(policy: bytes) -> str:
    """The text that the signers of the policy file with the content *policy* sign."""
    return f"{HEAD}\n{sha256_of(policy)}\n"


def read_signers(path: Path) -> Sequence[VerifierKey]:
    """The public keys of those who may sign policies, one a line. Raises NotAdopted."""
    try:
        return note.read_keys(path.read_text("utf-8"))
    except OSError as error:
        raise refused("missing", path, error.strerror) from error
    except (BadNote, UnicodeDecodeError) as error:
        raise refused("missing", path, error) from error


def signatures_of(
    policy: bytes, signature: bytes, signers: Sequence[VerifierKey]
) -> tuple[Signed, ...]:
    """The signatures of *policy* by *signers*. Raises BadNote (garbled, origin, forged, unsigned).

    Lines by other keys are passed over; one by a known key that does not hold refuses them all.
    """
    if len(signature) > LARGEST_SIGNATURE:
        raise BadNote("garbled", "the signature file is too long", LARGEST_SIGNATURE)
    signed = note.parse(signature)
    if signed.text != statement(policy):
        raise BadNote("origin", "the signatures are of another policy")
    by = {(one.name, one.key_id): one.signature for one in signed.signatures}
    people = [key for key in signers if key.kind == note.ED25519]
    found = note.verified_by(signed, people)
    return tuple(Signed(key, by[key.name, key.key_id]) for key, _time in found)


def persons(signed: Iterable[Signed]) -> int:
    """How many different persons there are, as far as names and keys tell.

    One name with two keys is one person, and so is one key under two names.
    """
    groups: list[tuple[set[str], set[bytes]]] = []
    for one in signed:
        name, key = one.key.name.casefold(), one.key.public
        names, keys = {name}, {key}
        apart = []
        for group in groups:
            if name in group[0] or key in group[1]:
                names |= group[0]
                keys |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (names, keys)]
    return len(groups)


def examine(
    content: bytes,
    signature: bytes,
    signers: Sequence[VerifierKey],
    packs: Packs,
    path: object = "-",
) -> Candidate:
    """The policy in *content*, if two of *signers* signed it and it compiles under *packs*.

    *path* names it in the error. Raises NotAdopted, naming the first thing that is missing.
    """
    sha256 = sha256_of(content)
    if len(content) > LARGEST:
        raise refused("too_large", path, _("it is too long"), sha256)
    try:
        signed = signatures_of(content, signature, signers)
    except BadNote as error:
        code = "another" if error.code == "origin" else error.code
        raise refused(code, path, error.reason, sha256) from error
    if persons(signed) < SIGNERS_NEEDED:
        reason = _("two different people must sign it")
        raise refused("one_person", path, reason, sha256)
    try:
        policy = rules.of_content(content, str(path))
    except BadPolicy as error:
        raise refused("malformed", path, error.fields["reason"], sha256) from error
    if not NAME.holds(policy.id):
        reason = _("the log cannot hold its id: at most six digits, and no other characters")
        raise refused("nameless", path, reason, sha256)
    errors = [one.label for one in check.check(policy, packs) if one.severity == check.ERROR]
    if errors:
        raise refused("errors", path, ", ".join(dict.fromkeys(errors)), sha256)
    if policy.sampling.method == "slots":
        # The month's key must outlive restarts, and lie on no disk in the clear.
        reason = _("slots need a key in a TPM, which this version lacks")
        raise refused("errors", path, reason, sha256)
    return Candidate(policy, content, signature, signed)


def read_candidate(
    path: Path, signature: Path, signers: Sequence[VerifierKey], packs: Packs
) -> Candidate:
    """The policy in the file *path*, by :func:`examine`. Raises NotAdopted."""
    return examine(_read(path, LARGEST), _read(signature, LARGEST_SIGNATURE), signers, packs, path)


def adopt(path: Path, signature: Path, signers: Path, packs: Packs) -> Policy:
    """The policy at *path*, if two of *signers* signed it and it compiles. Raises NotAdopted."""
    return read_candidate(path, signature, read_signers(signers), packs).policy


def adopted(policy: Policy) -> dict[str, Any]:
    """What the log says of a policy under which a recorder begins to work."""
    return {
        "policy": policy.id if NAME.holds(policy.id) else "unnamed",
        "policy_version": policy.version,
        "policy_sha256": policy.sha256,
        "signed": True,
    }


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise refused("missing", path, error.strerror) from error
