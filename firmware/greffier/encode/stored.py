"""What a leg's packets in a part are: the entry of the part's leg table that a reader needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from greffier.encode.codecs import Codec, by_name

Kind = Literal["original", "opus", "flac"]
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_KINDS = ("original", "opus", "flac")


class BadStored(ValueError):
    """A leg table entry that is none; *key* names what is wrong with it."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no leg description: {key}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Stored:
    """*rate* in Hz; *block* samples a whole block (0: original); *delay* samples by which decoded
    Opus comes late; *codecs* by payload type (kind original only)."""

    kind: Kind
    rate: int
    block: int = 0
    delay: int = 0
    codecs: Mapping[int, Codec] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """For canonical JSON: only strings, integers, objects."""
        out: dict[str, object] = {"kind": self.kind, "rate": self.rate}
        if self.kind == "original":
            out["codecs"] = {
                str(number): {"name": c.name, "clock": c.clock, "channels": c.channels}
                for number, c in sorted(self.codecs.items())
            }
            return out
        out["block"] = self.block
        if self.kind == "opus":
            out["delay"] = self.delay
        return out


def effective_kind(kind: Kind, source: Codec) -> Kind:
    """How a leg is stored that is wanted as *kind*.

    Opus that comes as Opus is kept as it is (a second encoding only loses), and what libopus
    cannot take at its own rate (44.1 kHz, say) is kept without loss, as FLAC.
    """
    if kind == "opus" and source.name == "opus":
        return "original"
    if kind == "opus" and source.rate not in OPUS_RATES:
        return "flac"
    return kind


def flac_block(rate: int) -> int:
    """Samples in a FLAC block: the power of two next below a fifth of a second, 256 to 4096."""
    return min(max(1 << (rate // 5).bit_length() - 1, 256), 4096)


def read(record: object) -> Stored:
    """The inverse of :meth:`Stored.record`. Raises BadStored."""
    if not isinstance(record, dict):
        raise BadStored("not an object")
    kind = record.get("kind")
    if kind not in _KINDS:
        raise BadStored("kind")
    rate = _whole(record, "rate", 1, 768000)
    if kind == "original":
        return Stored("original", rate, codecs=_codecs(record.get("codecs")))
    block = _whole(record, "block", 16, 65535)
    delay = _whole(record, "delay", 0, 65535) if kind == "opus" else 0
    if kind == "opus" and (rate not in OPUS_RATES or block != rate // 50):
        raise BadStored("rate")
    return Stored(cast("Kind", kind), rate, block, delay)


def _codecs(table: object) -> dict[int, Codec]:
    if not isinstance(table, dict):
        raise BadStored("codecs")
    out: dict[int, Codec] = {}
    for number, entry in table.items():
        if not (isinstance(number, str) and number.isascii() and number.isdigit()):
            raise BadStored("payload type")
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadStored("codec name")
        clock, channels = _whole(entry, "clock", 1, 768000), _whole(entry, "channels", 1, 255)
        out[int(number)] = by_name(entry["name"], clock, channels)
    return out


def _whole(record: dict[object, object], key: str, low: int, high: int) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadStored(key)
    return value
