"""How a data directory begins: its folders and keys, and a log whose first entry says so."""

from pathlib import Path

from greffier import __version__, trust
from greffier.audit.log import Log
from greffier.audit.note import Signer
from greffier.clock import Clock
from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.recorder.recipients import given, key_ids
from greffier.store import layout
from greffier.store.layout import DataDirectory
from greffier.trust.roots import Choice


def create(
    path: Path,
    clock: Clock,
    office_public: bytes,
    console_public: bytes | None = None,
    choice: Choice = "file",
) -> DataDirectory:
    """Make a data directory, and a log whose first entry says so.

    *office_public* and *console_public* are the contents of key files; *choice* says where the
    effaceable key lies. Raises BadKeyFile, AlreadyThere, Busy, StorageFailed.
    """
    disk = Disk()
    made = layout.create(path, disk, clock, office_public, console_public, choice)
    with made.lock(disk):
        log = Log.create(disk, made.audit, signer(made), clock)
        log.append(
            "device.created",
            None,
            {
                "device": made.identity.device,
                "version": __version__,
                "class": made.deletion_class,
                **key_ids(given(made)),
            },
        )
        log.commit()
        log.close()
    return made


def signer(data: DataDirectory) -> Signer:
    """Who signs the checkpoints of *data*. Raises IntegrityError."""
    key = trust.load_log_key(data.log_key)
    if key.name != data.identity.origin:
        raise IntegrityError(what=data.log_key, reason="it is the key of another device")
    return Signer(key.name, key.private)
