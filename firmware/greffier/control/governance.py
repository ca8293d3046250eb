"""What may be asked of the recorder about its policy."""

from dataclasses import dataclass
from typing import Annotated, Final

from greffier.control.fields import NoteText
from greffier.control.forms import Text

MOST_CONTENT: Final = 11_000
"""Characters of a policy in a request: base64 of zlib."""

Content = Annotated[str, Text(r"[A-Za-z0-9+/]{4,10998}={0,2}")]


@dataclass(frozen=True, slots=True)
class AdoptPolicy:
    """Run this policy from now on, if two persons signed it (docs/policy-signing.md).

    ``content``: base64 of the zlib stream (RFC 1950) of the file; ``signature``: its signed note.
    """

    content: Content
    signature: NoteText
