"""The console key of a month: its public half, and its seed sealed to each operator.

docs/operator-keys.md section 5. Pure: who makes one, and when, is the recorder's matter.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography.exceptions import InvalidTag

from greffier import canonical
from greffier.seal.envelope import SEALED_BYTES, SUITE
from greffier.seal.keys import PrivateKey, PublicKey, Role, generate

LARGEST_FILE, MOST_OPERATORS, LARGEST_NUMBER = 131_072, 64, 9_999
_CONTEXT = b"greffier/console-month@v1\0"
_FIELDS = {"format", "month", "number", "made_ns", "public", "sealed"}
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_TIME = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")


class BadMonth(ValueError):
    """The bytes are no month's file (docs/operator-keys.md section 5)."""


@dataclass(frozen=True, slots=True)
class Month:
    """A console key as it lies on the disk: *sealed* holds 1168 octets for each operator's key id.

    *month* is ``YYYY-MM`` in UTC, *number* counts from 1 within it.
    """

    month: str
    number: int
    made_ns: int
    public: PublicKey
    sealed: Mapping[str, bytes]

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.month}.{self.number}.json"

    @property
    def key_id(self) -> str:
        """16 hex digits, as envelopes and log name it."""
        return self.public.key_id.hex()

    def to_bytes(self) -> bytes:
        """The content of its file."""
        sealed = {key: base64.b64encode(one).decode("ascii") for key, one in self.sealed.items()}
        return canonical.dump(
            {
                "format": 1,
                "month": self.month,
                "number": self.number,
                "made_ns": str(self.made_ns),
                "public": base64.b64encode(self.public.data).decode("ascii"),
                "sealed": sealed,
            }
        )

    def opened(self, operator: PrivateKey) -> PrivateKey | None:
        """The console key, for an operator's key pair; None where it is not sealed to them.

        Raises BadMonth: it is, and does not open.
        """
        key_id = operator.public.key_id.hex()
        sealed = self.sealed.get(key_id)
        if sealed is None:
            return None
        try:
            seed = SUITE.decrypt(sealed, operator.hpke, self._info(key_id))
            private = PrivateKey(Role.CONSOLE, seed)
        except (InvalidTag, ValueError):
            raise BadMonth("what was sealed to an operator does not open") from None
        if private.public != self.public:
            raise BadMonth("it holds another key than it says")
        return private

    def sealed_to(self, private: PrivateKey, operators: Sequence[PublicKey]) -> "Month":
        """The same month, whose key is *private*, for *operators* and nobody else."""
        sealed = {}
        for one in operators:
            key_id = one.key_id.hex()
            sealed[key_id] = SUITE.encrypt(private.seed, one.hpke, self._info(key_id))
        return replace(self, sealed=sealed)

    def with_one(self, private: PrivateKey, operator: PublicKey) -> "Month":
        """The same month, whose key is *private*, for one operator more."""
        return replace(self, sealed={**self.sealed, **self.sealed_to(private, [operator]).sealed})

    def without(self, key_id: str) -> "Month":
        """The same month for all its operators but the one with *key_id*."""
        sealed = {key: one for key, one in self.sealed.items() if key != key_id}
        return replace(self, sealed=sealed)

    def _info(self, operator: str) -> bytes:
        head = _CONTEXT + self.month.encode("ascii") + self.number.to_bytes(4, "big")
        return head + self.public.key_id + bytes.fromhex(operator)


def new_month(
    month: str, number: int, made_ns: int, operators: Sequence[PublicKey]
) -> tuple[Month, PrivateKey]:
    """A fresh console key, sealed to *operators*; who only rotates forgets the private half."""
    private = generate(Role.CONSOLE)
    return Month(month, number, made_ns, private.public, {}).sealed_to(private, operators), private


def operator_key(public: bytes) -> PublicKey:
    """An operator's X-Wing key, as a recipient. Its role never leaves this room: a month says who.

    Raises ValueError.
    """
    return PublicKey(Role.CONSOLE, public)


def operator_pair(seed: bytes) -> PrivateKey:
    """An operator's X-Wing key pair. Raises ValueError for another length than 32."""
    return PrivateKey(Role.CONSOLE, seed)


def parse_month(data: bytes, file_name: str | None = None) -> Month:
    """The month's file *data*; *file_name* is that of its file, if it has one. Raises BadMonth."""
    if len(data) > LARGEST_FILE:
        raise BadMonth("it is too long")
    try:
        fields: Any = canonical.load(data)
    except ValueError:
        raise BadMonth("it is not canonical JSON") from None
    if not isinstance(fields, dict) or set(fields) != _FIELDS:
        raise BadMonth("a key is missing or unknown")
    if type(fields["format"]) is not int or fields["format"] != 1:
        raise BadMonth("its format is unknown")
    number = fields["number"]
    if type(number) is not int or not 1 <= number <= LARGEST_NUMBER:
        raise BadMonth("its number is none")
    if not (_is(_MONTH, fields["month"]) and _is(_TIME, fields["made_ns"])):
        raise BadMonth("its month or time is none")
    try:
        public = PublicKey(Role.CONSOLE, _base64(fields["public"]))
    except ValueError:
        raise BadMonth("its public key is not valid") from None
    sealed = _sealed(fields["sealed"])
    month = Month(fields["month"], number, int(fields["made_ns"]), public, sealed)
    if file_name is not None and file_name != month.file_name:
        raise BadMonth("it is that of another month")
    return month


def _sealed(value: Any) -> dict[str, bytes]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MOST_OPERATORS:
        raise BadMonth("it is sealed to nobody, or to too many")
    found = {}
    for key, text in value.items():
        try:
            found[key] = _base64(text)
        except ValueError:
            raise BadMonth("what it holds for an operator is not base64") from None
        if not _is(_KEY_ID, key) or len(found[key]) != SEALED_BYTES:
            raise BadMonth("what it holds for an operator has another form")
    return found


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _base64(text: Any) -> bytes:
    """Raises ValueError for what an encoder would not write."""
    if not isinstance(text, str):
        raise ValueError("not a text")
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("not as an encoder writes it")
    return data
