"""What sealing one frame costs, beside the bare cipher and hashes that it cannot do without."""

import hashlib
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier.seal.frames import Audio, FrameType, Packet
from greffier.seal.part import PartWriter, new_content_key

FRAME_BYTES = 3000  # one second at 24 kbit/s
TURNS = 40
CALLS = 100
RUNS = 9
GOAL = 2.0
PI4 = 4  # how much slower a Pi 4 is taken to be; not measured


def one_run(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float]:
    """Seconds of one call of each, taken in turns so that both meet the same disturbances."""
    total = [0.0, 0.0]
    for _ in range(TURNS):
        for index, work in enumerate((ours, bare)):
            start = time.perf_counter()
            for _ in range(CALLS):
                work()
            total[index] += time.perf_counter() - start
    return total[0] / (TURNS * CALLS), total[1] / (TURNS * CALLS)


def seal_frame() -> dict[str, Any]:
    """Seal 3,000-byte frames; the reference encrypts and hashes the same bytes twice."""
    packet = Packet(0, 8000, 1, 8, 0, os.urandom(FRAME_BYTES - 30))
    plaintext = bytes(Audio(0, 8000, (packet,)))
    writer = PartWriter(
        part_id=bytes(16),
        recording_id=bytes(16),
        number=0,
        meta={},
        content_key=new_content_key(),
    )
    cipher = ChaCha20Poly1305(os.urandom(32))
    head, nonce = bytes(12), bytes(12)

    def ours() -> None:
        writer.seal_frame(FrameType.AUDIO, 0, plaintext)

    def bare() -> None:
        sealed = cipher.encrypt(nonce, plaintext, head)
        hashlib.sha256(sealed).digest()
        hashlib.sha256(plaintext).digest()

    one_run(ours, bare)
    pairs = [one_run(ours, bare) for _ in range(RUNS)]
    ratios = sorted(mine / theirs for mine, theirs in pairs)
    value = statistics.median(mine for mine, _ in pairs) * 1e6
    ratio = statistics.median(ratios)
    return {
        "name": "seal.frame",
        "value": value,
        "unit": "us/frame",
        "better": "lower",
        "reference": {
            "name": "ChaCha20-Poly1305 + 2 x SHA-256",
            "value": statistics.median(theirs for _, theirs in pairs) * 1e6,
        },
        "ratio": ratio,
        "goal": GOAL,
        "met": ratio <= GOAL,
        "runs": RUNS,
        "spread": (ratios[-1] - ratios[0]) / ratio,
        "pi4_estimate": f"{value * PI4:.0f} us/frame (x{PI4}, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"seal.frame": seal_frame}
