"""Adopting a policy: two known people signed it, and it compiles; else the old one goes on.

A signature file is a C2SP signed note (docs/audit-format.md section 3) whose text is two lines,
``greffier-policy`` and the SHA-256 of the policy file in hex, under Ed25519 signatures of signers
that the site knows. An import may do without; the live recorder may not.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from greffier.audit import note
from greffier.audit.note import BadNote, VerifierKey
from greffier.errors import BadPolicy
from greffier.language import translate as _
from greffier.policy import check, rules
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

HEAD = "greffier-policy"
SIGNERS_NEEDED = 2


def statement(policy: bytes) -> str:
    """The text that the signers of the policy file with the content *policy* sign."""
    return f"{HEAD}\n{hashlib.sha256(policy).hexdigest()}\n"


def read_signers(path: Path) -> Sequence[VerifierKey]:
    """The public keys of those who may sign policies, one a line. Raises BadPolicy."""
    try:
        return note.read_keys(path.read_text("utf-8"))
    except OSError as error:
        raise BadPolicy(path=path, reason=error.strerror) from error
    except (BadNote, UnicodeDecodeError) as error:
        raise BadPolicy(path=path, reason=error) from error


def signed_by(policy: bytes, signature: bytes, signers: Sequence[VerifierKey]) -> set[str]:
    """The names of the *signers* whose signatures of *policy* hold. Raises BadNote."""
    signed = note.parse(signature)
    if signed.text != statement(policy):
        raise BadNote("origin", "the signatures are of another policy")
    return {key.name for key, _time in note.verified_by(signed, signers)}


def adopt(path: Path, signature: Path, signers: Path, packs: Packs) -> Policy:
    """The policy at *path*, if two of *signers* signed it and it compiles under *packs*.

    Raises BadPolicy, naming the first thing that is missing.
    """
    known = read_signers(signers)
    try:
        content, signed = path.read_bytes(), signature.read_bytes()
    except OSError as error:
        raise BadPolicy(path=error.filename or path, reason=error.strerror) from error
    try:
        names = signed_by(content, signed, known)
    except BadNote as error:
        raise BadPolicy(path=signature, reason=error.reason) from error
    if len(names) < SIGNERS_NEEDED:
        raise BadPolicy(path=signature, reason=_("two different people must sign it"))
    policy = rules.load(path)
    errors = [one.label for one in check.check(policy, packs) if one.severity == "error"]
    if errors:
        raise BadPolicy(path=path, reason=", ".join(errors))
    return policy


def adopted(policy: Policy) -> dict[str, Any]:
    """What the log says of a policy under which a recorder begins to work."""
    return {
        "policy": policy.id,
        "policy_version": policy.version,
        "policy_sha256": policy.sha256,
        "signed": True,
    }
