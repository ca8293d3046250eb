"""Writes notices.json: fingerprints that must be refused, one that is whole, and a prompt's bands.

Run it from the root of the repository; what is refused was decided by reading
docs/notice-format.md, and the bands are computed here by its formulas, without the package.
"""

import base64
import hashlib
import json
from pathlib import Path

import numpy as np

RATE, SAMPLES = 8000, 24_160


def prompt() -> np.ndarray:
    """Something that changes all the time, made of integers alone: glides with a rhythm."""
    n = np.arange(SAMPLES, dtype=np.int64)
    phase = (n * 37 + (n * n // 4096) * 11 + (n // 977) ** 3 * 5003) % 8000
    triangle = np.abs(phase - 4000) - 2000
    rhythm = 1 + (n // 1600 * 7919 + n // 2700 * 104729) % 5
    return (triangle * rhythm).astype(np.int16)


def levels(x: np.ndarray) -> np.ndarray:
    """Section 2, word by word."""
    h, length = RATE // 50, round(0.064 * RATE)
    n = np.arange(2 * h)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / (2 * h))
    w = hann / hann.sum() / 32768
    f = np.arange(length // 2 + 1) * RATE / length
    low, high = (2595 * np.log10(1 + one / 700) for one in (200, 3500))
    e = 700 * (10 ** ((low + (high - low) * np.arange(18) / 17) / 2595) - 1)
    emphasis = 1 + 0.95**2 - 1.9 * np.cos(2 * np.pi * f / 8000)
    rows = []
    for i in range((len(x) - 2 * h) // h + 1):
        power = np.abs(np.fft.rfft(x[i * h : i * h + 2 * h] * w, length)) ** 2
        row = []
        for b in range(16):
            rise, fall = (f - e[b]) / (e[b + 1] - e[b]), (e[b + 2] - f) / (e[b + 2] - e[b + 1])
            row.append((power * np.clip(np.minimum(rise, fall), 0, None) * emphasis).sum() ** 0.25)
        rows.append(row)
    found = np.array(rows)
    return np.rint(255 * found / found.max()).astype(np.uint8)


def text(value: object) -> str:
    """Canonical JSON of these values, all of which are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def main() -> None:
    """Write the file."""
    sound = prompt()
    rows = levels(sound)
    good = {
        "bands": 16,
        "format": "greffier/notice@v1",
        "frames": len(rows),
        "levels": base64.b64encode(rows.tobytes()).decode(),
        "prompt": hashlib.sha256(sound.astype("<i2").tobytes()).hexdigest(),
    }

    def changed(**values: object) -> str:
        return text({**good, **values})

    def of(frames: int, octet: bytes = b"\xff") -> str:
        coded = base64.b64encode(octet * (frames * 16)).decode()
        return changed(frames=frames, levels=coded)

    dull = base64.b64encode(np.minimum(rows, 254).tobytes()).decode()
    refused = [
        ["not canonical JSON", ""],
        ["not canonical JSON", "{}x"],
        ["not canonical JSON", " " + text(good)],
        ["not canonical JSON", text(good) + "\n"],
        ["not canonical JSON", text(good)[:-1]],
        ["not canonical JSON", json.dumps(good)],
        ["not a file of format greffier/notice@v1", "[]"],
        ["not a file of format greffier/notice@v1", "{}"],
        ["not a file of format greffier/notice@v1", changed(format="greffier/notice@v2")],
        ["a key is missing, or one is unknown", changed(name="A")],
        [
            "a key is missing, or one is unknown",
            text({k: v for k, v in good.items() if k != "prompt"}),
        ],
        ["another number of bands than 16", changed(bands=15)],
        ["another number of bands than 16", changed(bands="16")],
        ["another number of bands than 16", changed(bands=True)],
        ["fewer frames than 150, or more than 2500", changed(frames="150")],
        ["fewer frames than 150, or more than 2500", changed(frames=True)],
        ["fewer frames than 150, or more than 2500", changed(frames=-1)],
        ["fewer frames than 150, or more than 2500", of(149)],
        ["prompt is no SHA-256", changed(prompt="")],
        ["prompt is no SHA-256", changed(prompt=good["prompt"].upper())],
        ["prompt is no SHA-256", changed(prompt=None)],
        ["levels is no text", changed(levels=None)],
        ["levels is no text", changed(levels=[1])],
        ["levels is no base64", changed(levels="!" + good["levels"][1:])],
        ["levels is no base64", changed(levels=good["levels"][:-1])],
        ["levels is no base64", changed(levels=good["levels"] + "\n")],
        ["not 16 levels for each frame", changed(frames=len(rows) + 1)],
        ["not 16 levels for each frame", changed(levels="")],
        ["no level is 255", changed(levels=dull)],
        ["no level is 255", of(150, b"\x00")],
    ]
    content = {
        "refused": [{"reason": reason, "file": file} for reason, file in refused],
        "whole": text(good),
        "digest": hashlib.sha256(text(good).encode()).hexdigest(),
        "prompt": {"rate": RATE, "frames": len(rows), "first": rows[:4].tolist()},
    }
    path = Path(__file__).with_name("notices.json")
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
