"""A head office with a running broker and boxes that it let in: for tests, demo and benches."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from greffier.durable import Disk
from greffier.store.layout import DataDirectory
from greffier.sync import installation
from greffier.sync.folder import SyncFolder
from greffier.trust import Identity, LogKey, load_log_key
from greffier_office import admission, place
from greffier_office.broker import Address
from greffier_office.place import Office
from greffier_sim.broker import HOST, Broker, free_port


@dataclass(frozen=True, slots=True)
class Box:
    """A box that head office let in: its name, its log's key, its two directories."""

    device: str
    log_key: LogKey
    folder: SyncFolder
    directory: DataDirectory


@dataclass
class HeadOffice:
    """An office directory in ``folder`` and its broker, started by the ``with``.

    ``bulk_broker`` is another mosquitto where sound is to go *apart*, else the same one.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    apart: bool = False

    def __post_init__(self) -> None:
        self.disk = Disk()
        at = self.folder / "broker"
        bulk = [Address(HOST, free_port())] if self.apart else []
        self.office: Office = place.create(
            self.folder / "office",
            self.disk,
            time.time_ns(),
            brokers=[Address(HOST, free_port())],
            bulk_brokers=bulk,
        )
        self.broker = Broker(self.office, at, settings=self.settings)
        self.bulk_broker = self.broker
        if bulk:
            own = self.settings | {"pid_file": str(at / "bulk.pid")}
            self.bulk_broker = Broker(self.office, at, bulk[0].port, own)

    def admit(self, number: int = 1, log_key: LogKey | None = None) -> Box:
        """Make and enrol a box without an archive: keys alone, in a folder beside the office.

        Its name is ``box-`` and *number* in hex.
        """
        device = f"box-{number:08x}"
        log_key = log_key or LogKey.new(f"greffier/{device}")
        directory = DataDirectory(self.folder / device / "data", Identity(device, time.time_ns()))
        self.disk.make_dirs(directory.log_key.parent)
        self.disk.write_file(directory.log_key, log_key.private_line().encode("ascii") + b"\n")
        return self.enrol(directory, SyncFolder(self.folder / device / "sync"))

    def enrol(self, directory: DataDirectory, folder: SyncFolder) -> Box:
        """Enrol the box of a data *directory*, by the two files, and tell the broker."""
        now_ns = time.time_ns()
        claim = admission.claim(self.office, "", None, 1, self.disk, now_ns)
        asked = installation.request(directory, folder, claim.code, self.disk, now_ns)
        admitted = admission.admit(self.office, asked, self.disk, now_ns)
        installation.install(admitted.response, directory, folder, self.disk, now_ns)
        for one in dict.fromkeys((self.broker, self.bulk_broker)):
            if one.running:
                one.reload()
        return Box(admitted.device, load_log_key(directory.log_key), folder, directory)

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            if self.bulk_broker is not self.broker:
                self.bulk_broker.start()
        except BaseException:
            self.broker.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.broker.stop()
        self.bulk_broker.stop()
