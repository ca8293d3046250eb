"""What is kept of a prompt, so that it can be found again on a line: docs/notice-format.md.

Pure: bytes in, a frozen record out. Whether a recording makes a usable prompt is the matter of
:mod:`greffier.calls.learning`.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greffier import canonical
from greffier.calls.bands import BANDS, FRAMES_PER_SECOND

FORMAT = "greffier/notice@v1"
SUFFIX = ".notice"
LEAST_FRAMES = 3 * FRAMES_PER_SECOND
MOST_FRAMES = 50 * FRAMES_PER_SECOND
LARGEST_FILE = 64 * 1024
_KEYS = {"bands", "format", "frames", "levels", "prompt"}
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)


class BadFingerprint(ValueError):
    """The bytes are no fingerprint; the text says why, in plain words."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The bands of one prompt, from its first sound to its last.

    *levels* has a row a frame, 0 to 255 in each band; *prompt* is the SHA-256 of the file that it
    was learnt from, 64 hex digits.
    """

    levels: NDArray[np.uint8]
    prompt: str

    @property
    def seconds(self) -> float:
        """How long the prompt is."""
        return len(self.levels) / FRAMES_PER_SECOND

    @property
    def digest(self) -> str:
        """SHA-256 of the file that holds it, 64 hex digits: what the log calls the prompt."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The file."""
        return canonical.dump(
            {
                "bands": BANDS,
                "format": FORMAT,
                "frames": len(self.levels),
                "levels": base64.b64encode(self.levels.tobytes()).decode("ascii"),
                "prompt": self.prompt,
            }
        )


def parse(data: bytes) -> Fingerprint:
    """The fingerprint that *data*, a whole file, holds. Raises BadFingerprint."""
    if len(data) > LARGEST_FILE:
        raise BadFingerprint("longer than 64 KiB")
    try:
        value = canonical.load(data)
    except canonical.NotCanonical as error:
        raise BadFingerprint("not canonical JSON") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadFingerprint(f"not a file of format {FORMAT}")
    if set(value) != _KEYS:
        raise BadFingerprint("a key is missing, or one is unknown")
    if value["bands"] != BANDS or isinstance(value["bands"], bool):
        raise BadFingerprint("another number of bands than 16")
    frames, prompt = value["frames"], value["prompt"]
    if type(frames) is not int or not LEAST_FRAMES <= frames <= MOST_FRAMES:
        raise BadFingerprint("fewer frames than 150, or more than 2500")
    if not isinstance(prompt, str) or not _SHA256.fullmatch(prompt):
        raise BadFingerprint("prompt is no SHA-256")
    levels = np.frombuffer(_octets(value["levels"]), np.uint8)
    if len(levels) != frames * BANDS:
        raise BadFingerprint("not 16 levels for each frame")
    if int(levels.max()) != 255:
        raise BadFingerprint("no level is 255")
    return Fingerprint(levels.reshape(frames, BANDS), prompt)


def _octets(text: object) -> bytes:
    if not isinstance(text, str):
        raise BadFingerprint("levels is no text")
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadFingerprint("levels is no base64") from error
    if base64.b64encode(octets).decode("ascii") != text:
        raise BadFingerprint("levels is base64 that no encoder writes")
    return octets


def is_name(text: str) -> bool:
    """Whether *text* can name a prompt: it becomes a file's name, and must not lead elsewhere."""
    return _NAME.fullmatch(text) is not None
