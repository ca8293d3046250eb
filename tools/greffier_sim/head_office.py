"""A head office with a running broker and boxes that it let in: for tests, demo and benches."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from greffier.durable import Disk
from greffier.sync.folder import SyncFolder
from greffier.sync.topics import BULK
from greffier.trust import LogKey
from greffier_office import authority, migrations, place
from greffier_office.authority import DEVICE_DAYS, Use
from greffier_office.broker import Address
from greffier_office.place import Office
from greffier_sim.broker import HOST, Broker, free_port


@dataclass(frozen=True, slots=True)
class Box:
    """A box that head office let in: its name, its log's key and its sync folder."""

    device: str
    log_key: LogKey
    folder: SyncFolder


@dataclass
class HeadOffice:
    """An office directory in ``folder`` and its broker, started by the ``with``."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.disk = Disk()
        port = free_port()
        self.office: Office = place.create(
            self.folder / "office", self.disk, time.time_ns(), brokers=[Address(HOST, port)]
        )
        self.broker = Broker(self.office, self.folder / "broker", settings=self.settings)

    def admit(self, number: int = 1, log_key: LogKey | None = None) -> Box:
        """Let a box in as an enrolment would, and tell the broker.

        Its name is ``box-`` and *number* in hex; its sync folder lies beside the office.
        """
        device = f"box-{number:08x}"
        log_key = log_key or LogKey.new(f"greffier/{device}")
        folder = SyncFolder(self.folder / device)
        self.disk.make_dirs(folder.path)
        ca = self.office.authority()
        rows = []
        for bulk, name in ((False, device), (True, device + BULK)):
            key = authority.new_key()
            one = ca.issue(key.public_key(), name, Use.CLIENT, time.time_ns(), DEVICE_DAYS)
            self.disk.write_file(folder.key(bulk), authority.key_pem(key))
            self.disk.write_file(folder.certificate(bulk), authority.pem(one))
            rows.append((authority.serial_text(one), device, name, authority.not_after_ns(one)))
        self.disk.write_file(folder.authority, self.office.ca_certificate.read_bytes())
        path = self.office.catalogue
        with (
            contextlib.closing(self.office.open_catalogue(self.disk)) as db,
            migrations.transaction(db, path),
        ):
            db.execute(
                "INSERT INTO devices VALUES (?, ?, '', ?, NULL, ?, ?)",
                (device, log_key.public_line(), time.time_ns(), rows[0][0], rows[1][0]),
            )
            db.executemany("INSERT INTO certificates VALUES (?, ?, ?, ?, NULL)", rows)
        place.write_lists(self.office, self.disk, time.time_ns(), ca)
        if self.broker.running:
            self.broker.reload()
        return Box(device, log_key, folder)

    def __enter__(self) -> Self:
        self.broker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.broker.stop()
