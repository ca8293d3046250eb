"""A part whose writer knows its digest is not hashed a second time."""

import hashlib
from pathlib import Path

from greffier.durable import Disk
from greffier.store.vault import Vault


def test_the_writers_digest_stands_for_the_vaults(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    vault = Vault(tmp_path / "parts", Disk())
    accepted = hashlib.sha256(b"header")
    part = vault.create("ab" * 16, "2026-01-01", b"header", digest=accepted.hexdigest)
    part.append(memoryview(b"frames"))
    accepted.update(b"frames")
    assert part.sha256() == accepted.hexdigest()
    closed = vault.close(part)
    assert closed == vault.digest("ab" * 16)
