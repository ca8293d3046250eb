"""`./build.sh fuzz`: mutated inputs for every parser; nothing may crash, hang or grow.

Each ``fuzz_*`` module exports ``SEEDS`` (name -> valid inputs) and ``TARGETS`` (name -> a function
that takes bytes and lets nothing escape but a fault of ours).
"""

import argparse
import json
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module

MODULES = ("fuzz_sip", "fuzz_capture", "fuzz_seal", "fuzz_audit", "fuzz_store", "fuzz_enrolment")
TOKENS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xff\xff\xff",
    b"%",
    b"SIP/2.0",
    b"=",
    b";",
    b"-1",
    b"{",
)


def mutate(seed: bytes, draw: random.Random) -> bytes:
    """*seed* with one to eight faults: flips, cuts, copies, swaps, tokens."""
    data = bytearray(seed)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at : at + draw.randint(1, 16)]
        elif kind == 2:
            data[at:at] = data[draw.randrange(len(data) + 1) :][: draw.randint(1, 64)]
        elif kind == 3:
            data[at:at] = draw.choice(TOKENS)
        elif kind == 4:
            data[at : at + 4] = draw.randbytes(4)
        elif kind == 5:
            del data[at:]
        elif data:
            data[at % len(data)] = draw.choice((0, 0x7F, 0x80, 0xFF, 0x20))
    return bytes(data)


def attack(
    name: str, target: Callable[[bytes], None], seeds: list[bytes], inputs: int, seed: int
) -> list[str]:
    """Feed *inputs* mutations to one target; return what escaped, a line each (at most five)."""
    draw = random.Random(f"{seed}/{name}")
    escaped: list[str] = []
    for _ in range(inputs):
        data = mutate(draw.choice(seeds), draw)
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 - whatever escapes is what we look for
            where = traceback.extract_tb(error.__traceback__)[-1]
            escaped.append(f"{name}: {type(error).__name__} at {where.filename}:{where.lineno}")
            if len(escaped) == 5:
                break
    return escaped


def main() -> int:
    """Run every target; 0 when nothing escaped and memory stayed flat."""
    parser = argparse.ArgumentParser(prog="./build.sh fuzz")
    parser.add_argument("--inputs", type=int, default=20_000, help="mutations in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", dest="as_json")
    arguments = parser.parse_args()
    targets: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {}
    for module in MODULES:
        found = import_module(f"greffier_sim.{module}")
        targets.update({name: (found.TARGETS[name], found.SEEDS[name]) for name in found.TARGETS})
    each = max(1, arguments.inputs // len(targets))
    escaped: list[str] = []
    warm = min(each, 200)
    for name, (target, seeds) in targets.items():  # fills caches, so that growth means a leak
        attack(name, target, seeds, warm, arguments.seed + 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    for name, (target, seeds) in targets.items():
        escaped += attack(name, target, seeds, each, arguments.seed)
        print(f"{name}: {each} inputs", file=sys.stderr, flush=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    for text in escaped:
        print(text, file=sys.stderr)
    summary = {
        "inputs": each * len(targets),
        "targets": len(targets),
        "escaped": len(escaped),
        "memory_grown_mib": round(grown, 1),
        "elapsed_s": round(time.monotonic() - started, 1),
    }
    print(json.dumps(summary) if arguments.as_json else summary)
    return 1 if escaped or grown > 64 else 0


if __name__ == "__main__":
    sys.exit(main())
