"""The few TPM 2.0 commands that the effaceable key and operators' peppers need, as bytes; pure.

TPM 2.0 Library specification, part 2 (structures) and part 3 (commands). Every authorization is a
password session. That of the effaceable key is the empty password: it needs no secrecy, only that
it can be destroyed.
"""

import struct
from dataclasses import dataclass

from greffier.language import translate as _

NO_DA, AUTH_READ, WRITE_ALL, AUTH_WRITE = 1 << 25, 1 << 18, 1 << 12, 1 << 2
WRITTEN = 1 << 29
SHA256 = 0x000B

# Response codes (part 2, 6.6.3), those of format one without their position.
HANDLE = 0x08B
AUTH_FAIL = 0x08E
NV_UNINITIALIZED = 0x14A
NV_DEFINED = 0x14C
LOCKOUT = 0x921
BUSY = frozenset({0x908, 0x90A, 0x920, 0x922, 0x923})  # yielded, testing, rate, retry, unavailable

_SESSIONS, _NO_SESSIONS = 0x8002, 0x8001
_HEADER = struct.Struct(">HII")
HEADER_SIZE = _HEADER.size
LONGEST = 4096
_OWNER, _LOCKOUT = (struct.pack(">I", handle) for handle in (0x40000001, 0x4000000A))
_PROPERTIES = 6  # TPM_CAP_TPM_PROPERTIES
_MANUFACTURER, _PERMANENT, _MOST_WRONG = 0x105, 0x200, 0x20F
_LOCKOUT_AUTH_SET = 1 << 2  # TPMA_PERMANENT


class BadAnswer(ValueError):
    """The bytes are no answer of a TPM to that command."""


def _words_of(code: int) -> str | None:
    return {
        0x085: _("its owner hierarchy is switched off"),
        0x08E: _("it asks for a password that this recorder does not have"),
        0x0A2: _("it asks for a password that this recorder does not have"),
        0x100: _("it was not started"),
        0x101: _("it is in failure mode"),
        0x120: _("it is switched off"),
        0x146: _("the index has another size"),
        0x148: _("the index is locked"),
        0x149: _("the index does not allow it"),
        0x14B: _("its memory is full"),
        0x921: _("it is locked out after wrong passwords"),
    }.get(code)


class TpmRefused(Exception):
    """The TPM answered with a response code other than success; it did nothing.

    ``code`` is without the bits that say which handle, session or parameter is meant.
    """

    def __init__(self, answered: int) -> None:
        super().__init__(answered)
        self.answered = answered
        self.code = answered & 0xBF if answered & 0x80 else answered  # format one, else zero

    def __str__(self) -> str:
        return _words_of(self.code) or _("it answered 0x{code}").format(code=f"{self.answered:03x}")


@dataclass(frozen=True, slots=True)
class Index:
    """The public area of an NV index (TPMS_NV_PUBLIC), without what we never set."""

    handle: int
    attributes: int
    size: int
    name_hash: int = SHA256
    policy: bytes = b""


@dataclass(frozen=True, slots=True)
class Command:
    """One command's bytes, and whether its answer carries a session."""

    data: bytes
    session: bool


@dataclass(frozen=True, slots=True)
class Guessing:
    """How a TPM counts wrong passwords: ``sealed`` where the one that forgives has a password.

    It locks after ``most_wrong`` and takes one more guess each ``interval_s``.
    """

    sealed: bool
    most_wrong: int
    interval_s: int


def _command(
    code: int, handles: bytes, parameters: bytes, session: bool = True, password: bytes = b""
) -> Command:
    # authSize, TPM_RS_PW, no nonce, no attribute, password
    words = struct.pack(">IHBH", 0x40000009, 0, 0, len(password)) + password
    authorization = struct.pack(">I", len(words)) + words if session else b""
    body = handles + authorization + parameters
    tag = _SESSIONS if session else _NO_SESSIONS
    return Command(_HEADER.pack(tag, _HEADER.size + len(body), code) + body, session)


def ask_manufacturer() -> Command:
    """TPM2_GetCapability: the least that a TPM that works can be asked."""
    return _ask_property(_MANUFACTURER)


def ask_permanent() -> Command:
    """TPM2_GetCapability: which passwords are set."""
    return _ask_property(_PERMANENT)


def ask_guessing() -> Command:
    """TPM2_GetCapability: wrong passwords before it locks, and how long it then waits."""
    return _ask_property(_MOST_WRONG, 2)


def _ask_property(first: int, count: int = 1) -> Command:
    return _command(0x17A, b"", struct.pack(">III", _PROPERTIES, first, count), session=False)


def set_guessing(most_wrong: int, interval_s: int, recovery_s: int) -> Command:
    """TPM2_DictionaryAttackParameters, where the lockout has no password yet."""
    return _command(0x13A, _LOCKOUT, struct.pack(">III", most_wrong, interval_s, recovery_s))


def seal_lockout(password: bytes) -> Command:
    """TPM2_HierarchyChangeAuth of the lockout, where it has no password yet."""
    return _command(0x129, _LOCKOUT, struct.pack(">H", len(password)) + password)


def look_at(handle: int) -> Command:
    """TPM2_NV_ReadPublic."""
    return _command(0x169, struct.pack(">I", handle), b"", session=False)


def define(index: Index, password: bytes = b"") -> Command:
    """TPM2_NV_DefineSpace, by the owner, whose password is empty; *password* is the index's own."""
    public = struct.pack(">IHI", index.handle, index.name_hash, index.attributes)
    public += struct.pack(">H", len(index.policy)) + index.policy + struct.pack(">H", index.size)
    own = struct.pack(">H", len(password)) + password
    return _command(0x12A, _OWNER, own + struct.pack(">H", len(public)) + public)


def undefine(handle: int) -> Command:
    """TPM2_NV_UndefineSpace, by the owner."""
    return _command(0x122, _OWNER + struct.pack(">I", handle), b"")


def write(handle: int, data: bytes, password: bytes = b"") -> Command:
    """TPM2_NV_Write of the whole index, by the index's own password."""
    parameters = struct.pack(">H", len(data)) + data + struct.pack(">H", 0)
    return _command(0x137, struct.pack(">II", handle, handle), parameters, password=password)


def read(handle: int, size: int, password: bytes = b"") -> Command:
    """TPM2_NV_Read of *size* octets from the beginning, by the index's own password."""
    parameters = struct.pack(">HH", size, 0)
    return _command(0x14E, struct.pack(">II", handle, handle), parameters, password=password)


def length_of(header: bytes) -> int:
    """How long the answer is that begins with these octets. Raises BadAnswer."""
    if len(header) < _HEADER.size:
        raise BadAnswer("too short")
    length = int(_HEADER.unpack_from(header)[1])
    if not _HEADER.size <= length <= LONGEST:
        raise BadAnswer("impossible length")
    return length


def parameters_of(answer: bytes, command: Command) -> bytes:
    """The parameters of a successful answer to *command*. Raises TpmRefused, BadAnswer."""
    if length_of(answer) != len(answer):
        raise BadAnswer("wrong length")
    tag, _length, code = _HEADER.unpack_from(answer)
    if code:
        raise TpmRefused(code)
    if tag != (_SESSIONS if command.session else _NO_SESSIONS):
        raise BadAnswer("wrong tag")
    body = answer[_HEADER.size :]
    if not command.session:
        return body
    if len(body) < 4:
        raise BadAnswer("no parameters")
    size = int.from_bytes(body[:4], "big")
    if len(body) < 4 + size:
        raise BadAnswer("parameters beyond the answer")
    return body[4 : 4 + size]


def sized(data: bytes) -> tuple[bytes, bytes]:
    """The first TPM2B of *data*, and what follows it. Raises BadAnswer."""
    size = int.from_bytes(data[:2], "big")
    if len(data) < 2 + size:
        raise BadAnswer("a buffer beyond the answer")
    return data[2 : 2 + size], data[2 + size :]


def index_of(parameters: bytes) -> Index:
    """What TPM2_NV_ReadPublic answered. Raises BadAnswer."""
    public, _name = sized(parameters)
    if len(public) < 14:
        raise BadAnswer("a public area that is too short")
    handle, name_hash, attributes = struct.unpack_from(">IHI", public)
    policy, rest = sized(public[10:])
    if len(rest) != 2:
        raise BadAnswer("a public area of another form")
    return Index(handle, attributes, int.from_bytes(rest, "big"), name_hash, policy)


def guessing_of(permanent: bytes, guessing: bytes) -> Guessing:
    """What the answers to :func:`ask_permanent` and :func:`ask_guessing` say. Raises BadAnswer."""
    flags = _properties(permanent, _PERMANENT, 1)[0]
    most_wrong, interval_s = _properties(guessing, _MOST_WRONG, 2)
    return Guessing(bool(flags & _LOCKOUT_AUTH_SET), most_wrong, interval_s)


def _properties(parameters: bytes, first: int, count: int) -> list[int]:
    """The values of *count* properties from *first* on (TPMS_CAPABILITY_DATA)."""
    if len(parameters) != 9 + 8 * count:
        raise BadAnswer("properties of another number")
    words = struct.unpack(f">{2 + 2 * count}I", parameters[1:])
    if words[:2] != (_PROPERTIES, count) or list(words[2::2]) != [*range(first, first + count)]:
        raise BadAnswer("other properties")
    return list(words[3::2])
