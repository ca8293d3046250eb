"""Something to say on the line: French speech from espeak-ng, as G.711 A-law at 8 kHz."""

import io
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SENTENCES = (
    "Bonjour, agence de Lyon, que puis-je pour vous ?",
    "Je voudrais connaître l'état de ma commande, s'il vous plaît.",
    "Achetez cent actions au cours du marché, et confirmez par écrit.",
    "Un instant, je vérifie le dossier avec mon collègue.",
    "Merci beaucoup, je vous souhaite une bonne journée.",
)


def speak(text: str) -> NDArray[np.int16]:
    """*text* spoken in French: 16-bit samples at 8 kHz.

    espeak-ng speaks at 22.05 kHz; linear interpolation is enough for test material.
    """
    made = subprocess.run(
        ["espeak-ng", "-v", "fr", "--stdout", text], check=True, capture_output=True
    )
    with wave.open(io.BytesIO(made.stdout)) as spoken:
        rate = spoken.getframerate()
        # The stream's length field is not filled in when espeak-ng writes to a pipe.
        samples = np.frombuffer(spoken.readframes(2**28), dtype="<i2")
    times = np.arange(0, len(samples) * 8000 // rate) * (rate / 8000)
    heard = np.interp(times, np.arange(len(samples)), samples.astype(np.float64) * 0.5)
    return np.asarray(heard, np.int16)


def to_alaw(samples: NDArray[np.int16]) -> bytes:
    """ITU-T G.711 A-law of 16-bit samples, by its definition (segments and steps)."""
    value = samples.astype(np.int32) >> 3
    sign = np.where(value >= 0, 0xD5, 0x55)
    magnitude = np.minimum(np.where(value >= 0, value, -value - 1), 4095)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    mantissa = (magnitude >> np.maximum(exponent, 1)) & 15
    return bytes(((exponent << 4 | mantissa) ^ sign).astype(np.uint8))


def from_alaw(octets: bytes) -> NDArray[np.int16]:
    """The 16-bit samples that ITU-T G.711 A-law *octets* stand for."""
    code = np.frombuffer(octets, np.uint8).astype(np.int32) ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    value = np.where(
        exponent > 0, (mantissa * 16 + 264) << np.maximum(exponent - 1, 0), mantissa * 16 + 8
    )
    return np.where(code & 0x80, value, -value).astype(np.int16)


def speak_all(numbers: Sequence[int]) -> NDArray[np.int16]:
    """Sentences *numbers*, one after the other."""
    return np.concatenate([speak(SENTENCES[number]) for number in numbers])


def write_phrases(path: Path, numbers: Sequence[int]) -> bytes:
    """Write sentences *numbers* as raw A-law whole 20 ms packets; return it."""
    octets = to_alaw(speak_all(numbers))
    octets = octets[: len(octets) // 160 * 160]
    path.write_bytes(octets)
    return octets
