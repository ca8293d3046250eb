"""Head office's side of an enrolment: a request is checked, certificates signed, a device known.

The catalogue's commit is the moment: what was answered is kept with the claim, so a command that is
killed after it, or an answer that is lost, is repeated with the same request and gives the same
octets. The broker's lists are written from the catalogue after it.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from cryptography import x509

from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.sync import enrolment
from greffier.sync.claim import Claim
from greffier.sync.enrolment import Refused, Request, RequestBody, ResponseBody
from greffier.sync.topics import BULK
from greffier_office import authority, claims, place
from greffier_office.authority import DEVICE_DAYS, Authority, Use
from greffier_office.claims import KeptClaim, MadeClaim
from greffier_office.migrations import transaction
from greffier_office.place import Office


@dataclass(frozen=True, slots=True)
class Admitted:
    """A device that may connect. ``again`` is true where the same request was answered before."""

    device: str
    log_key: str
    label: str
    response: bytes
    again: bool


def claim(
    office: Office, label: str, for_device: str | None, days: int, disk: Disk, now_ns: int
) -> MadeClaim:
    """A fresh claim code for one box. Raises BadDatabase, StorageFailed."""
    with closing(claims.open_with_care(office.open_catalogue(disk))) as db:
        with transaction(db, office.catalogue):
            claims.erase_expired(db, now_ns)
            made = claims.make(db, label, for_device, days, now_ns)
        claims.let_go(db)
    return made


def admit(office: Office, data: bytes, disk: Disk, now_ns: int) -> Admitted:
    """Let in the device whose request file holds *data*, and write the broker's lists.

    The broker is not told: that is the command's matter. Raises Refused (nothing was changed),
    BadKeyFile, Busy, BadDatabase, StorageFailed.
    """
    request = enrolment.read_request(data)
    with office.lock(disk), closing(claims.open_with_care(office.open_catalogue(disk))) as db:
        ca = office.authority()
        with transaction(db, office.catalogue):
            claims.erase_expired(db, now_ns)
        with transaction(db, office.catalogue):
            kept = claims.find(db, request.body.claim)
            if kept is None:
                raise Refused(3, _("no claim code belongs to it"))
            if kept.request is not None:
                admitted = _answered(db, kept, request, enrolment.digest(data))
            else:
                admitted = _admitted(db, office, ca, kept, request, data, now_ns)
        claims.let_go(db)
        place.write_lists(office, disk, now_ns, ca)
    return admitted


def revoke(office: Office, device: str, disk: Disk, now_ns: int) -> bool:
    """Shut *device* out: every certificate it ever got, and its name; write the broker's lists.

    False where it was shut out already (the lists are written again). Raises UsageError for a
    device that is not known, Busy, BadDatabase, StorageFailed.
    """
    with office.lock(disk), closing(claims.open_with_care(office.open_catalogue(disk))) as db:
        with transaction(db, office.catalogue):
            row = db.execute(
                "SELECT revoked_ns FROM devices WHERE device = ?", (device,)
            ).fetchone()
            if row is None:
                reason = _("no device {device} is enrolled")
                raise UsageError(reason=reason.format(device=device))
            for table in ("devices", "certificates"):
                db.execute(
                    f"UPDATE {table} SET revoked_ns = ?"  # noqa: S608 - one of two names above
                    " WHERE device = ? AND revoked_ns IS NULL",
                    (now_ns, device),
                )
            db.execute("UPDATE claims SET response = NULL WHERE used_by = ?", (device,))
            claims.erase_expired(db, now_ns)
        claims.let_go(db)
        place.write_lists(office, disk, now_ns)
    return row["revoked_ns"] is None


def _answered(db: sqlite3.Connection, kept: KeptClaim, request: Request, digest: str) -> Admitted:
    if kept.request != digest:
        raise Refused(4, _("its claim code was used for another request"))
    if kept.response is None:
        raise Refused(12, _("this device was revoked; make a claim code with --device for it"))
    (label,) = db.execute("SELECT label FROM devices WHERE device = ?", (kept.used_by,)).fetchone()
    body = request.body
    return Admitted(body.device, body.log_key, label, kept.response.encode(), again=True)


def _admitted(
    db: sqlite3.Connection,
    office: Office,
    ca: Authority,
    kept: KeptClaim,
    request: Request,
    data: bytes,
    now_ns: int,
) -> Admitted:
    if kept.key is None:
        raise Refused(5, _("its claim code has expired"))
    claim = Claim(kept.claim, kept.key)
    enrolment.check_request(request, claim)
    body = request.body
    label = _may_enter(db, kept, request)
    control, bulk = (
        ca.issue(key, name, Use.CLIENT, now_ns, DEVICE_DAYS)
        for name, key in zip(
            (body.device, body.device + BULK), enrolment.public_keys(request), strict=True
        )
    )
    _keep(db, body, label, (control, bulk), now_ns)
    digest = enrolment.digest(data)
    receipt, witness = office.public_keys()
    response = enrolment.write_response(
        ResponseBody(
            claim=kept.claim,
            device=body.device,
            request=digest,
            name=office.name,
            authority=enrolment.certificate_text(ca.certificate),
            control=enrolment.certificate_text(control),
            bulk=enrolment.certificate_text(bulk),
            brokers=tuple(map(str, office.brokers)),
            bulk_brokers=tuple(map(str, office.bulk_brokers)),
            receipt_key=receipt.text,
            witness_key=witness.text,
            made_ns=now_ns,
        ),
        claim,
    )
    claims.use(db, kept.claim, body.device, digest, response.decode("ascii"), now_ns)
    return Admitted(body.device, body.log_key, label, response, again=False)


def _may_enter(db: sqlite3.Connection, kept: KeptClaim, request: Request) -> str:
    """The label of a device that may enter. Raises Refused (10 to 12)."""
    body = request.body
    if kept.for_device not in (None, body.device):
        raise Refused(10, _("its claim code is for another device"))
    row = db.execute(
        "SELECT log_key, label, revoked_ns FROM devices WHERE device = ?", (body.device,)
    ).fetchone()
    if row is None:
        return kept.label
    if row["log_key"] != body.log_key:
        raise Refused(11, _("a device of this name is enrolled with another log key"))
    if row["revoked_ns"] is not None and kept.for_device is None:
        raise Refused(12, _("this device was revoked; make a claim code with --device for it"))
    return kept.label or str(row["label"])


def _keep(
    db: sqlite3.Connection,
    body: RequestBody,
    label: str,
    issued: tuple[x509.Certificate, x509.Certificate],
    now_ns: int,
) -> None:
    serials = [authority.serial_text(one) for one in issued]
    db.execute(
        "INSERT INTO devices VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6)"
        " ON CONFLICT (device) DO UPDATE SET label = ?3, enrolled_ns = ?4, revoked_ns = NULL,"
        " control_serial = ?5, bulk_serial = ?6",
        (body.device, body.log_key, label, now_ns, *serials),
    )
    names = (body.device, body.device + BULK)
    for one, serial, name in zip(issued, serials, names, strict=True):
        db.execute(
            "INSERT INTO certificates VALUES (?, ?, ?, ?, NULL)",
            (serial, body.device, name, authority.not_after_ns(one)),
        )
