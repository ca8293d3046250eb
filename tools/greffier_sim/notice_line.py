"""What a telephone line does to a prompt: level, noise, speed, a missing part, a codec."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.encode import core

Samples = NDArray[np.int16]
Sound = NDArray[np.float64]
RATE: Final = 8000
CODECS: Final = ("PCMA", "PCMU", "opus 8k", "opus 12k", "opus 16k", "opus 24k")
CUTS: Final = ("beginning", "end", "both ends", "middle")
GAIN_DB: Final = 12.0
SPEED: Final = 0.02
MOST_CUT: Final = 0.3
SNR_DB: Final = 15.0


@dataclass(frozen=True)
class Said:
    """*line* as the other end hears it; the whole prompt would have ended at *end*."""

    line: Samples
    end: int
    how: str


def said(prompt: Sound, before: Sound, behind: Sound, rng: np.random.Generator) -> Said:
    """*prompt* between other sound, through a line drawn by *rng*."""
    speed = float(rng.choice([1 - SPEED, 1 + SPEED, rng.uniform(1 - SPEED, 1 + SPEED)]))
    cut = float(rng.choice([0, MOST_CUT, rng.uniform(0, MOST_CUT)]))
    where = str(rng.choice(CUTS))
    length = int(len(prompt) * speed)
    sound = np.interp(np.arange(length) / speed, np.arange(len(prompt)), prompt)
    low, high, missing = 0, length, int(cut * length)
    if where == "beginning":
        low = missing
    elif where == "end":
        high = length - missing
    elif where == "both ends":
        low, high = missing // 2, length - (missing - missing // 2)
    else:
        hole = int(rng.integers(0, length - missing + 1))
        sound[hole : hole + missing] = 0
    end = len(before) + length - low
    line, how = through(np.concatenate((before, sound[low:high], behind)), rng)
    return Said(line, end, f"{how}, speed {speed:.3f}, {cut:.0%} cut at {where}")


def through(sound: Sound, rng: np.random.Generator) -> tuple[Samples, str]:
    """*sound* with another level, with noise and through a codec, and which."""
    gain = float(rng.choice([-GAIN_DB, GAIN_DB, rng.uniform(-GAIN_DB, GAIN_DB)]))
    sound = sound * 10 ** (gain / 20)
    loud = np.abs(sound) > 0
    power = np.square(sound[loud]).mean() if loud.any() else 1.0
    noise = _noise(len(sound), rng)
    noise *= np.sqrt(power / 10 ** (SNR_DB / 10) / np.square(noise).mean())
    samples = np.clip(np.rint(sound + noise), -32768, 32767).astype(np.int16)
    codec = str(rng.choice(CODECS))
    return coded(samples, codec), f"{codec}, {gain:+.0f} dB"


def _noise(length: int, rng: np.random.Generator) -> Sound:
    """White, falling with frequency, or a murmur that comes and goes."""
    white = rng.standard_normal(length)
    kind = rng.integers(3)
    if kind == 1:
        spectrum = np.fft.rfft(white)
        return np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 20), length)
    if kind == 2:
        swell = 1 + 0.5 * np.sin(np.arange(length) / RATE * 2 * np.pi * 0.7)
        return np.asarray(np.convolve(white, np.ones(4) / 4, "same") * swell)
    return white


def coded(samples: Samples, codec: str) -> Samples:
    """*samples* as they come out of *codec*."""
    if not codec.startswith("opus"):
        return np.asarray(core.decode_g711(codec, core.encode_g711(codec, samples)))
    bitrate = int(codec.removeprefix("opus ").removesuffix("k")) * 1000
    whole = np.ascontiguousarray(samples[: len(samples) // 160 * 160])
    encoder = core.OpusEncoder(RATE, bitrate=bitrate)
    decoder = core.OpusDecoder(RATE)
    return core.join([decoder.decode(packet) for packet in encoder.encode(whole)])
