"""A box that waits for an answer, and a head office that knows a claim: made from vectors."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greffier import canonical
from greffier.durable import Disk
from greffier.store.layout import DataDirectory
from greffier.sync.claim import Claim
from greffier.sync.folder import SyncFolder
from greffier.trust import Identity
from greffier_office import migrations
from greffier_office.place import Office

FOLDER = Path(__file__).parents[1] / "vectors" / "enrolment"
DAY_NS = 86_400 * 1_000_000_000


def load(name: str) -> dict[str, Any]:
    """The vectors of one file."""
    found = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


REQUESTS, RESPONSES = load("requests"), load("responses")
NOW_NS = int(REQUESTS["now_ns"])


@dataclass(frozen=True, slots=True)
class Waiting:
    """A box that sent a request."""

    directory: DataDirectory
    folder: SyncFolder

    def files(self) -> dict[str, bytes]:
        """All that is there, by name; locks and what a fault left of a draft are not."""
        paths = [*self.folder.path.iterdir(), *self.directory.head_office.parent.iterdir()]
        return {
            path.name: path.read_bytes()
            for path in paths
            if path.suffix != ".lock" and not path.name.startswith(".")
        }


def waiting(at: Path, state: dict[str, Any] | None = None) -> Waiting:
    """A box in the folder *at* in the *state* of a vector of responses."""
    state = state or {}
    identity = Identity(state.get("directory", RESPONSES["device"]), NOW_NS)
    box = Waiting(DataDirectory(at / "data", identity), SyncFolder(at / "sync"))
    box.directory.head_office.parent.mkdir(parents=True)
    box.folder.path.mkdir()
    if state.get("pending", True):
        box.folder.pending.write_bytes(pending_bytes())
    if "installed" in state:
        box.directory.head_office.write_text(state["installed"])
    return box


def put_claim(office: Office, state: dict[str, Any]) -> None:
    """Make the catalogue hold the claim of the vectors of requests, in this *state*, alone."""
    claim = Claim.of(REQUESTS["code"])
    kind = state.get("claim", "known")
    known = state.get("device")
    with (
        contextlib.closing(office.open_catalogue(Disk())) as db,
        migrations.transaction(db, office.catalogue),
    ):
        for table in ("claims", "certificates", "devices"):
            db.execute(f"DELETE FROM {table}")
        if known:
            db.execute(
                "INSERT INTO devices VALUES (?, ?, 'before', 1, ?, 'a', 'b')",
                (REQUESTS["device"], known["log_key"], 5 if known["revoked"] else None),
            )
        if kind == "unknown":
            return
        expires_ns = NOW_NS + (-1 if kind == "expired" else DAY_NS)
        db.execute(
            "INSERT INTO claims (claim, key, label, for_device, issued_ns, expires_ns)"
            " VALUES (?, ?, 'Lyon', ?, 1, ?)",
            (claim.claim, claim.key, state.get("for_device"), expires_ns),
        )
        if kind == "used":
            db.execute("UPDATE claims SET key = NULL, used_ns = 2, request = ?", ("0" * 64,))


def rows(office: Office) -> list[tuple[Any, ...]]:
    """All of the catalogue, to be compared."""
    with contextlib.closing(office.open_catalogue(Disk())) as db:
        return [
            tuple(row)
            for table in ("devices", "certificates", "claims")
            for row in db.execute(f"SELECT * FROM {table} ORDER BY 1")
        ]


def pending_bytes() -> bytes:
    """The content of pending.json of the vectors of responses."""
    return canonical.dump(RESPONSES["pending"])
