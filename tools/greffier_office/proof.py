"""A certificate of a deletion in a file, of a box or of head office: what it proves, and to whom.

For ``greffier-office verify FILE``; docs/deletion-certificate.md.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from greffier.audit import certificate, note
from greffier.audit.certificate import BadCertificate
from greffier.audit.note import BadNote, VerifierKey
from greffier.durable import Disk
from greffier.errors import BadKeyFile, UsageError
from greffier.language import translate as _
from greffier_office import deletion_note
from greffier_office.deletion_note import BadDeletion
from greffier_office.place import Office


def keys_in(path: Path) -> tuple[VerifierKey, ...]:
    """The verifier keys in a trust file, one a line. Raises BadKeyFile."""
    try:
        return note.read_keys(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadKeyFile(path=path, reason=error) from error


def keys_of(office: Office) -> tuple[VerifierKey, ...]:
    """Those that head office knows: its own, and the logs' of its devices. Raises BadKeyFile."""
    with closing(office.open_catalogue(Disk())) as db:
        lines = [row["log_key"] for row in db.execute("SELECT log_key FROM devices")]
    own = (*office.public_keys(), office.deletion_signer(Disk()).log_key)
    return (*own, *map(note.read_key, lines))


def verified(data: bytes, keys: Sequence[VerifierKey]) -> dict[str, Any]:
    """The state of the certificate in *data*, its checks and what it says.

    ``cannot_tell`` where none of *keys* is of whoever signed it. Raises UsageError where it is no
    certificate at all.
    """
    if deletion_note.is_one(data):
        return _of_office(data, keys)
    try:
        made = certificate.read(data)
        origin = note.parse(made.checkpoint).text.partition("\n")[0]
    except (BadCertificate, BadNote) as error:
        raise UsageError(reason=_("no certificate: {reason}").format(reason=error)) from None
    own = next((one for one in keys if one.name == origin and one.kind == note.ED25519), None)
    if own is None:
        return _answer("cannot_tell", "log", f"no key of {origin}")
    witnesses = [one for one in keys if one.kind == note.COSIGNATURE_V1]
    try:
        said = certificate.check(made, own, witnesses)
    except BadCertificate as error:
        return _answer("altered", error.code, error.reason)
    value = _answer("authentic", "log", "") | {"certificate": said.as_json()}
    witness = {"name": "witness", "ok": said.witnessed_s is not None, "detail": ""}
    return value | {"checks": [*value["checks"], witness]}


def _of_office(data: bytes, keys: Sequence[VerifierKey]) -> dict[str, Any]:
    try:
        said = deletion_note.read(data, keys)
    except BadDeletion as error:
        state = "cannot_tell" if error.code == "unsigned" else "altered"
        return _answer(state, error.code, error.reason)
    lines = said.text.splitlines()[1:]
    about = dict(line.split(" ", 1) for line in lines)
    return _answer("authentic", "signature", "") | {"certificate": about}


def _answer(state: str, name: str, detail: str) -> dict[str, Any]:
    check = {"name": name, "ok": state == "authentic", "detail": detail}
    return {"ok": state == "authentic", "state": state, "checks": [check], "certificate": None}
