"""The policies that were adopted, as files of the data directory, and as an order carries one.

``policies/<SHA-256>.toml`` and its ``.sig`` (docs/policy-signing.md section 3). Only the log says
which of them runs: a file that somebody puts there is none.
"""

import base64
import binascii
import zlib
from pathlib import Path

from greffier.errors import BadPolicy
from greffier.policy import rules
from greffier.policy.site import Policy
from greffier.recorder import adoption
from greffier.recorder.adoption import LARGEST, Candidate, refused
from greffier.recorder.archive import Archive


def keep(archive: Archive, candidate: Candidate) -> None:
    """Keep its bytes; durable at return. Harmless by itself: only the log names what runs.

    Raises StorageFailed.
    """
    folder, disk = archive.data.policies, archive.disk
    disk.make_dirs(folder)
    name = candidate.policy.sha256
    for suffix, content in ((".sig", candidate.signature), (".toml", candidate.content)):
        path = folder / f"{name}{suffix}"
        if not _holds(path, content):
            disk.write_file(path, content)


def unpacked(content: str) -> bytes:
    """The policy file that an order carries: base64 of zlib. Raises NotAdopted."""
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(content, validate=True), LARGEST + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise refused("malformed", "-", error) from error
    if len(data) > LARGEST:
        raise refused("too_large", "-", "-")
    if not stream.eof or stream.unused_data:
        raise refused("malformed", "-", "-")
    return data


def packed(content: bytes) -> str:
    """What an order carries of the policy file *content*."""
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def read_stored(folder: Path, sha256: str) -> Policy:
    """The adopted policy with that hash. Raises BadPolicy: it is gone, or not what it was."""
    return rules.of_content(stored(folder, sha256), str(folder / f"{sha256}.toml"))


def stored(folder: Path, sha256: str) -> bytes:
    path = folder / f"{sha256}.toml"
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadPolicy(path=path, reason=error.strerror) from error
    if adoption.sha256_of(content) != sha256:
        raise BadPolicy(path=path, reason="it is not what was adopted")
    return content


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
