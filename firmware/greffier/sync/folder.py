"""Sync's own folder: the certificates that open head office's broker, and the outbox.

Made by ``greffier enrol``; docs/enrolment-format.md says what lies in it. Whether it can be used is
asked here, so that a wrong certificate is one clear line and not a connection that never comes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT: Final = Path("/var/lib/greffier-sync")


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """The paths in one sync folder, which need not be there."""

    path: Path = DEFAULT

    def certificate(self, bulk: bool = False) -> Path:
        """Certificate (PEM) of the control or the *bulk* connection."""
        return self.path / ("bulk.crt" if bulk else "control.crt")

    def key(self, bulk: bool = False) -> Path:
        """Private key (PKCS#8 PEM) of the control or the *bulk* connection."""
        return self.path / ("bulk.key" if bulk else "control.key")

    @property
    def authority(self) -> Path:
        """Certificate (PEM) of the authority that signed the broker's and these."""
        return self.path / "ca.crt"

    @property
    def enrolment(self) -> Path:
        """Whose box this is, which head office, and where its brokers answer; canonical JSON."""
        return self.path / "enrolment.json"

    @property
    def outbox(self) -> Path:
        """Sync's database of ids and states; it may be missing."""
        return self.path / "outbox.sqlite"
