"""The data directory: where everything lies, how it is made, opened and locked.

Normative page: docs/data-directory.md.
"""

from dataclasses import dataclass
from pathlib import Path

from greffier import trust
from greffier.clock import Clock
from greffier.durable import Disk, Lock
from greffier.errors import AlreadyThere, Decommissioned, NotADataDirectory
from greffier.store.shred import ShredStore
from greffier.store.vault import Vault
from greffier.trust import roots

DEVELOPMENT_KEY = "dev-office.key"
"""Head office's secret key, where a data directory was made for trials only."""
DECOMMISSIONED = "decommissioned.txt"
"""The certificate of a box whose end was begun: nothing is written there any more."""
_OURS = {
    DEVELOPMENT_KEY,
    "device.json",
    ".device.json.tmp",
    "lock",
    "keys",
    "vault",
    "shred",
    "audit",
} | {f"index.sqlite{suffix}" for suffix in ("", "-wal", "-shm", "-journal")}


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The paths of one data directory, and whose it is. Made by :func:`create` and :func:`open`."""

    path: Path
    identity: trust.Identity

    @property
    def office_public(self) -> Path:
        """Key file of head office's public key."""
        return self.path / "keys" / "office.pub"

    @property
    def console_public(self) -> Path:
        """Key file of the console's public key; it may be missing."""
        return self.path / "keys" / "console.pub"

    @property
    def operators(self) -> Path:
        """Folder of the operators' cards; missing where there never was one."""
        return self.path / "keys" / "operators"

    @property
    def months(self) -> Path:
        """Folder of the console keys of the months, sealed to operators; it may be missing."""
        return self.path / "keys" / "months"

    @property
    def log_key(self) -> Path:
        """Key file that signs checkpoints (see greffier.trust.load_log_key)."""
        return self.path / "keys" / "log.key"

    @property
    def log_public(self) -> Path:
        """The verifier's line for it."""
        return self.path / "keys" / "log.pub"

    @property
    def head_office(self) -> Path:
        """Whose receipts and cosignatures count, two vkey lines; missing before the enrolment."""
        return self.path / "keys" / "head-office.pub"

    @property
    def parts(self) -> Path:
        """Folder of the sealed parts."""
        return self.path / "vault" / "parts"

    @property
    def calls(self) -> Path:
        """Folder of the calls journal."""
        return self.path / "vault" / "calls"

    @property
    def shred(self) -> Path:
        """Folder of the shred store."""
        return self.path / "shred"

    @property
    def audit(self) -> Path:
        """Folder of the audit log."""
        return self.path / "audit"

    @property
    def summary(self) -> Path:
        """Folder of the summaries of the past, which may be missing."""
        return self.path / "summary"

    @property
    def policies(self) -> Path:
        """Folder of the policies that were adopted, by hash; missing before the first one."""
        return self.path / "policies"

    @property
    def index(self) -> Path:
        """The index, which may be missing."""
        return self.path / "index.sqlite"

    @property
    def deletion_class(self) -> trust.DeletionClass:
        """What deleting here is worth (docs/shred-format.md). Raises IntegrityError."""
        return roots.class_in(self.shred)

    def lock(self, disk: Disk) -> Lock:
        """Take the right to write. Raises Busy, StorageFailed."""
        return disk.lock(self.path / "lock")

    def vault(self, disk: Disk) -> Vault:
        """The parts."""
        return Vault(self.parts, disk)

    def shred_store(self, disk: Disk, *, whole: bool = True) -> ShredStore:
        """The shred store, recovered; the lock must be held.

        Not *whole*: its buckets are recovered as they are needed. Raises IntegrityError (TpmLost:
        the TPM does not hold its key), StorageFailed (TpmFailed: the TPM cannot be used).
        """
        return ShredStore.open(self.shred, disk, roots.open_root(self.shred, disk), whole=whole)


def create(
    path: Path,
    disk: Disk,
    clock: Clock,
    office_public: bytes,
    console_public: bytes | None = None,
    choice: roots.Choice = "file",
) -> DataDirectory:
    """Make a data directory with fresh device keys at *path*; the keys given are key file contents.

    *choice* says where the effaceable key lies; in doubt no TPM is written. A directory that was
    half made is begun again. Raises AlreadyThere if one is there or if the folder holds anything
    else, Busy, StorageFailed (TpmFailed: the TPM that was asked for cannot be used).
    """
    if path.exists() and (not path.is_dir() or {one.name for one in path.iterdir()} - _OURS):
        raise AlreadyThere(path=path)
    disk.make_dirs(path)
    with disk.lock(path / "lock"):
        if (path / "device.json").exists():
            raise AlreadyThere(path=path)
        identity = trust.new_identity(clock)
        made = DataDirectory(path, identity)
        for folder in (made.log_key.parent, made.parts, made.calls, made.audit):
            disk.make_dirs(folder)
        disk.write_file(made.office_public, office_public)
        if console_public is not None:
            disk.write_file(made.console_public, console_public)
        elif made.console_public.exists():  # of an earlier attempt, or planted: it would read all
            disk.remove([made.console_public])
        log_key = trust.LogKey.new(identity.origin)
        disk.write_file(made.log_key, log_key.private_line().encode("ascii") + b"\n")
        disk.write_file(made.log_public, log_key.public_line().encode("ascii") + b"\n")
        effaceable = roots.make_root(made.shred, disk, choice)
        ShredStore.create(made.shred, disk, effaceable).close()
        disk.write_file(path / "device.json", identity.to_bytes())
    return made


def open(path: Path) -> DataDirectory:  # noqa: A001 - read as layout.open
    """The data directory at *path*, not locked. Raises NotADataDirectory, Decommissioned."""
    if (path / DECOMMISSIONED).exists():
        raise Decommissioned(path=path)
    made = DataDirectory(path, trust.load_identity(path / "device.json"))
    for needed in (made.office_public, made.log_key, made.parts, made.calls, made.shred):
        if not needed.exists():
            raise NotADataDirectory(path=path)
    return made
