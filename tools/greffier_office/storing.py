"""What the storing threads do with blocks and whole parts: compare, make durable, read back.

Everything here is called from several threads, and keeps no state of its own.
"""

import errno
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greffier.errors import StorageFailed
from greffier.seal import header
from greffier.seal.header import BadPart
from greffier.sync.chunk import BLOCK
from greffier_office.objects import Missing, Objects, block_name
from greffier_office.steps import Finish, Keep

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_WORDS = ("No space left", "quota exceeded")


@dataclass(frozen=True, slots=True)
class Looked:
    """``outcome`` of a look at a whole part, as of Uploads.finished, and its clear meta."""

    outcome: str
    about: Mapping[str, Any]


def keep(objects: Objects, block: Keep) -> str:
    """Make *block* an object; the outcome as of Uploads.kept. Raises StorageFailed."""
    if hashlib.sha256(block.data).hexdigest() != block.sha256:
        return "altered"
    objects.put(block_name(block.sha256), block.data)
    return "kept"


def look(objects: Objects, part: Finish) -> Looked:
    """Read the part back from its objects and compare it with its SHA-256. Raises StorageFailed.

    What the log says is a part is one, were its header damaged: then nothing is known about it.
    """
    offered = part.offered
    whole = hashlib.sha256()
    for number, sha256 in enumerate(offered.blocks):
        name = block_name(sha256)
        size = min(BLOCK, offered.size - number * BLOCK)
        if len(offered.blocks) == 1:  # its own SHA-256 is the part's, and was compared
            if objects.size(name) != size:
                raise Missing(path=name)
        else:
            whole.update(objects.get(name))
    if len(offered.blocks) > 1 and whole.hexdigest() != offered.sha256:
        return Looked("hash", {})
    first = objects.get(block_name(offered.blocks[0]), min(offered.size, _LARGEST_HEADER))
    try:
        return Looked("kept", header.parse(first).meta)
    except BadPart:
        return Looked("kept", {})


def is_full(error: Exception) -> bool:
    """Whether *error* says that there is no room."""
    if not isinstance(error, StorageFailed):
        return False
    if error.fields.get("number") in _FULL:
        return True
    reason = str(error.fields.get("reason", ""))
    return any(words in reason for words in _FULL_WORDS) or "full" in reason


_LARGEST_HEADER = header.FIXED_BYTES + 2 * header.LARGEST_BLOCK + header.COMMITMENT_BYTES + 4
