"""`./build.sh soak NAME`: the measured proofs of recorder and sync, each a named command.

Prints one JSON object with ``--json``; exits with 0 only if every promise held, with 3 where this
machine lacks what the proof needs (root, namespaces, a tool).
"""

import argparse
import json
import sys
from importlib import import_module

from greffier_sim.soak_missing import Missing

NAMES = {
    "calls": "real calls through a mirrored port: calls in = calls listed, every packet counted",
    "card": "a card is keyed in, the recorder is killed: it is in no octet that is written",
    "clock": "clocks set, lost and lied about: nothing is deleted early, nothing long late",
    "deletion": "every octet ever written, the TPM of today and the office key: what opens",
    "holds": "holds, releases, purges, erasures, space, clocks in any order: what is held stays",
    "kills": "kill -9 at random instants: nothing committed is lost, no call is drawn twice",
    "mix": "random schedules of overlapping calls: no sample belongs to two calls",
    "mutants": "small wrongs in sync, receipts and retention: the tests notice each",
    "nonces": "random failures of the disk: no key seals two texts under one nonce",
    "notice": "prompts through codecs, noise, level, speed and cuts: heard; all else is not",
    "policy": "the rules on drawn policies and facts; harmed policies: one line, never adopted",
    "purge": "power cut after every write of a purge: each commit is all old or all new",
    "sampling": "manipulated days of a sampled branch: each is found, and no honest day is accused",
    "sync": "kill -9 of everybody up to head office: each part is there once, each receipt holds",
    "syscalls": "the n-th system call fails, for every n: said or mended, and nothing is lost",
    "thief": "a powered-off box and every secret on it: no part, no number; then the right keys",
    "unsampled": "what may not be kept is in no write of the recorder",
}


def say(text: str) -> None:
    """One line for the person who watches."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run one."""
    parser = argparse.ArgumentParser(prog="./build.sh soak")
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, text in NAMES.items():
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--json", action="store_true", dest="as_json")
        import_module(f"greffier_sim.soak_{name}").configure(one)
    words = parser.parse_args()
    try:
        found = import_module(f"greffier_sim.soak_{words.name}").main(words, say)
    except Missing as error:
        say(f"soak {words.name}: {error}")
        return 3
    if words.as_json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<24} {value}")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
