"""Who may tell something: tokens of agents, systems and desks (docs/facts-api.md, *Tokens*).

Pure. A token is an id and 256 random bits; what is kept of it is their SHA-256, compared in
constant time. So whoever reads the file can tell nothing.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Final

from greffier import canonical
from greffier.clock import SECOND
from greffier.control.fields import Name, Ns
from greffier.control.forms import BadMessage, Text, from_object, to_object

MOST_TOKENS: Final = 1000
CODE_LASTS_NS: Final = 86_400 * SECOND
_TOKEN = re.compile(r"gft-([0-9a-f]{16})-([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY: Final = bytes(32)

Hash = Annotated[str, Text(r"[0-9a-f]{64}")]
TokenId = Annotated[str, Text(r"[0-9a-f]{16}")]
Kind = Annotated[str, Text("agent|system|desk|code")]
Allowance = Annotated[str, Text(r"[a-z_]{1,32}(?:=[a-z0-9]{1,16})?")]


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. *name*: the agent, the system, or the extension of the desk.

    *allow* are the facts of a system. Times are ns since the epoch; 0: never.
    """

    id: TokenId
    kind: Kind
    name: Name
    hash: Hash
    allow: tuple[Allowance, ...]
    created_ns: Ns
    expires_ns: Ns = 0
    revoked_ns: Ns = 0

    def holds_at(self, now_ns: int) -> bool:
        """Whether it still counts."""
        return not self.revoked_ns and not 0 < self.expires_ns <= now_ns


def make(kind: str, name: str, now_ns: int, allow: Iterable[str] = ()) -> tuple[Token, str]:
    """A new token: its record, and the text that is shown once."""
    key, secret = secrets.token_hex(8), secrets.token_bytes(32)
    expires_ns = now_ns + CODE_LASTS_NS if kind == "code" else 0
    token = Token(key, kind, name, _hash(secret), tuple(allow), now_ns, expires_ns)
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return token, f"gft-{key}-{text}"


def find(tokens: Iterable[Token], text: str, now_ns: int) -> Token | None:
    """The token that *text* is, None where it is none, or counts no more.

    It takes as long for an unknown id as for a wrong secret.
    """
    parsed = parse(text)
    key, secret = parsed or ("", _NOBODY)
    given = _hash(secret)
    found = next((one for one in tokens if one.id == key), None)
    same = hmac.compare_digest(given, found.hash if found else _hash(_NOBODY))
    if parsed is None or found is None or not same or not found.holds_at(now_ns):
        return None
    return found


def parse(text: str) -> tuple[str, bytes] | None:
    """The id and the secret in *text*; None where it has not the form of a token."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    secret = base64.urlsafe_b64decode(match[2] + "=")
    if base64.urlsafe_b64encode(secret).rstrip(b"=").decode() != match[2]:
        return None  # the last character has bits of nothing: another writing of the same secret
    return match[1], secret


def revoke(tokens: Iterable[Token], key: str, now_ns: int) -> tuple[Token, ...]:
    """The same, with the token of the id *key* revoked. Raises KeyError where it is not there."""
    found = {one.id: one for one in tokens}
    if not found[key].revoked_ns:
        found[key] = replace(found[key], revoked_ns=now_ns)
    return tuple(found.values())


def dump(tokens: Iterable[Token]) -> bytes:
    """The content of tokens.json."""
    return canonical.dump({"v": 1, "tokens": [to_object(one) for one in tokens]})


def load(content: bytes) -> tuple[Token, ...]:
    """The tokens of tokens.json. Raises ValueError."""
    try:
        value = canonical.load(content)
    except canonical.NotCanonical as error:
        raise ValueError(str(error)) from None
    if not isinstance(value, dict) or value.keys() != {"v", "tokens"} or value["v"] != 1:
        raise ValueError("no list of tokens")
    if not isinstance(value["tokens"], list) or len(value["tokens"]) > MOST_TOKENS:
        raise ValueError("no list of tokens")
    try:
        tokens = tuple(from_object(Token, one) for one in value["tokens"])
    except BadMessage as error:
        raise ValueError(error.reason) from None
    if len({one.id for one in tokens}) != len(tokens):
        raise ValueError("an id twice")
    return tokens


def _hash(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
