"""Writes signatures.json: policies, signature files, and which of them two persons signed.

Ed25519 is RFC 8032 by the library that everybody uses; notes, key ids and cases are made here
from the words of docs/policy-signing.md and of C2SP, without the package.
"""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Person:
    """A name and a key of one repeated octet."""

    def __init__(self, name: str, octet: int) -> None:
        self.name = name
        self.secret = Ed25519PrivateKey.from_private_bytes(bytes([octet]) * 32)
        raw = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.material = b"\x01" + raw
        self.id = hashlib.sha256(name.encode() + b"\n" + self.material).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self.material).decode()}"

    def line(self, text: str) -> str:
        blob = base64.b64encode(self.id + self.secret.sign(text.encode())).decode()
        return f"\u2014 {self.name} {blob}\n"


ALICE, BOB, EVE = Person("alice", 1), Person("bob", 2), Person("eve", 9)
ALICE_AGAIN, TWIN = Person("Alice", 3), Person("anna", 1)
KNOWN = (ALICE, BOB, ALICE_AGAIN, TWIN)
POLICY = 'schema = "callpolicy/1"\n'


def text_of(policy: str, head: str = "greffier-policy") -> str:
    return f"{head}\n{hashlib.sha256(policy.encode()).hexdigest()}\n"


def note(*people: Person, text: str = text_of(POLICY), over: str | None = None) -> str:
    lines = "".join(one.line(text if over is None else over) for one in people)
    return f"{text}\n{lines}"


GOOD = note(ALICE, BOB)
LAST = GOOD.splitlines()[-1]
FLIPPED = GOOD.replace(LAST, LAST[:-10] + ("A" if LAST[-10] != "A" else "B") + LAST[-9:])
CASES: list[tuple[str, str, str, str | None]] = [
    ("two persons", POLICY, GOOD, None),
    ("two persons, the other way round", POLICY, note(BOB, ALICE), None),
    ("two persons and a stranger", POLICY, note(ALICE, EVE, BOB), None),
    ("three lines of two persons", POLICY, note(ALICE, ALICE_AGAIN, BOB), None),
    ("one person", POLICY, note(ALICE), "one_person"),
    ("one person and a stranger", POLICY, note(ALICE, EVE), "one_person"),
    ("one name with two keys", POLICY, note(ALICE, ALICE_AGAIN), "one_person"),
    ("one key under two names", POLICY, note(ALICE, TWIN), "one_person"),
    ("two names joined by a third line", POLICY, note(ALICE_AGAIN, ALICE, TWIN), "one_person"),
    ("a stranger", POLICY, note(EVE), "unsigned"),
    ("other bytes", POLICY + "\n", GOOD, "another"),
    ("another line end", POLICY.replace("\n", "\r\n"), GOOD, "another"),
    ("another head", POLICY, note(ALICE, BOB, text=text_of(POLICY, "greffier-config")), "another"),
    ("a hash in capitals", POLICY,
     note(ALICE, BOB, text=text_of(POLICY)[:16] + text_of(POLICY)[16:].upper()), "another"),
    ("one more line of text", POLICY, note(ALICE, BOB, text=text_of(POLICY) + "x\n"), "another"),
    ("signed with another purpose before it", POLICY,
     note(ALICE, BOB, over="greffier/operator-signature@v1\0policy\0" + text_of(POLICY)), "forged"),
    ("one signature of other bytes", POLICY,
     note(ALICE) + BOB.line(text_of(POLICY + " ")), "forged"),
    ("one bit", POLICY, FLIPPED, "forged"),
    ("the same line twice", POLICY, note(ALICE, ALICE), "garbled"),
    ("no signature", POLICY, text_of(POLICY), "garbled"),
    ("no end of the last line", POLICY, GOOD[:-1], "garbled"),
    ("nothing", POLICY, "", "garbled"),
    ("a line without a dash", POLICY, GOOD.replace("\u2014", "-"), "garbled"),
    ("no base64", POLICY, GOOD.replace(LAST, LAST[:-2] + "!="), "garbled"),
    ("too long", POLICY, note(ALICE, BOB) + EVE.line("x") * 40, "garbled"),
]  # fmt: skip


def main() -> None:
    """Write the file."""
    cases = [
        {"name": name, "policy": policy, "signature": signature, "code": code}
        for name, policy, signature, code in CASES
    ]
    vectors = {"signers": [one.vkey for one in KNOWN], "cases": cases}
    path = Path(__file__).with_name("signatures.json")
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=True) + "\n", "ascii")


if __name__ == "__main__":
    main()
