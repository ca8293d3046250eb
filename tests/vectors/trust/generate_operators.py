"""Make the vectors of docs/operator-keys.md.

    .venv/bin/python tests/vectors/trust/generate_operators.py

X-Wing, HPKE, HKDF and the cipher come from tests/reference/part.py, which shares no code with the
package; Argon2id and Ed25519 from the library. HPKE draws random octets, so what months.json holds
sealed is taken from it where it exists.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.reference import part as ref  # noqa: E402 - the path is set above

Fields = dict[str, Any]


def number(text: str, size: int = 32) -> bytes:
    """Octets that look random and are the same each time."""
    return hashlib.shake_256(text.encode()).digest(size)


def derive(salt: bytes, ikm: bytes, info: str) -> bytes:
    """HKDF-SHA-512; no salt is as many zero octets as the hash has."""
    return ref.expand("sha512", ref.extract("sha512", salt or bytes(64), ikm), info.encode(), 32)


SEED, OTHER, SECRET, PEPPER, SALT = (
    number(name, size)
    for name, size in (("seed", 32), ("other", 32), ("secret", 32), ("pepper", 32), ("salt", 16))
)
PAIR, PAIR2 = ref.Pair(SEED), ref.Pair(OTHER)
CONSOLE = number("console")
TPM = {"handle": "01500020", "tag": number("tag").hex()}


def signer(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive(b"", seed, "greffier/operator-sign@v1"))


def verify_key(seed: bytes) -> bytes:
    return signer(seed).public_key().public_bytes_raw()


# --- cards.json ---


def card(kind: str, tpm: Fields | None, secret: bytes) -> Fields:
    wrapping: Fields = {
        "kind": kind,
        "salt": SALT.hex(),
        "memory_kib": 65536,
        "passes": 3,
        "lanes": 1,
        "tpm": tpm,
        "sealed": "",
    }
    fields: Fields = {
        "format": 1,
        "name": "marie",
        "public": base64.b64encode(PAIR.public).decode(),
        "verify": verify_key(SEED).hex(),
        "made_ns": "1795305600000000000",
        "wrapping": wrapping,
    }
    stretched = Argon2id(salt=SALT, length=32, iterations=3, lanes=1, memory_cost=65536).derive(
        secret
    )
    key = derive(SALT, stretched + (PEPPER if tpm else b""), "greffier/operator-wrap@v1")
    sealed = ref.encrypt(key, bytes(12), SEED, ref.canonical(fields))
    return fields | {"wrapping": wrapping | {"sealed": sealed.hex()}}


def cards() -> list[Fields]:
    made: list[Fields] = []
    good = card("generated", None, SECRET)
    text = ref.canonical(good).decode()

    def add(name: str, body: str, file: str = "marie", **more: Any) -> None:
        made.append({"name": name, "file": file, "text": body} | more)

    def bad(name: str, reasons: list[int], inside: Fields | None = None, **outside: Any) -> None:
        changed = good | outside | {"wrapping": good["wrapping"] | (inside or {})}
        if "wrapping" in outside:
            changed["wrapping"] = outside["wrapping"]
        add(name, ref.canonical(changed).decode(), reasons=reasons)

    opened = {"secret": SECRET.hex(), "seed": SEED.hex()}
    add("generated passphrase, no TPM", text, pepper=None, **opened)
    for kind in ("chosen", "generated"):
        body = ref.canonical(card(kind, TPM, SECRET)).decode()
        add(f"{kind} passphrase and a TPM", body, pepper=PEPPER.hex(), **opened)
    add("key file", ref.canonical(card("file", None, SECRET)).decode(), pepper=None, **opened)
    add("another secret", text, secret=OTHER.hex(), pepper=None, seed=None)
    body = ref.canonical(card("chosen", TPM, SECRET)).decode()
    add("another pepper", body, secret=SECRET.hex(), pepper=OTHER.hex(), seed=None)
    moved = good | {"public": base64.b64encode(PAIR2.public).decode()}
    for name, fields in (
        ("another person's public key", moved),
        ("another name", good | {"name": "paul"}),
        ("another time", good | {"made_ns": "0"}),
        ("dearer", good | {"wrapping": good["wrapping"] | {"passes": 4}}),
        ("said to be a key file", good | {"wrapping": good["wrapping"] | {"kind": "file"}}),
    ):
        body = ref.canonical(fields).decode()
        who = fields["name"]
        add(f"bound: {name}", body, who, secret=SECRET.hex(), pepper=None, seed=None)
    add("longer than 16384 octets", text + " " * 16384, reasons=[1])
    add("a space in the JSON", text.replace(":", ": ", 1), reasons=[2])
    add("not JSON", "marie", reasons=[2])
    add("empty", "", reasons=[2])
    add("a number for an object", "1", reasons=[3])
    bad("a key more", [3], note="")
    bad("a key more in the wrapping", [3], {"note": ""})
    bad("no wrapping", [3], wrapping=None)
    add(
        "no name",
        ref.canonical({k: v for k, v in good.items() if k != "name"}).decode(),
        reasons=[3],
    )
    bad("format 2", [4], format=2)
    bad("format true", [4], format=True)
    add("the file of another", text, "paul", reasons=[5])
    for name, word in (
        ("capital", "Marie"),
        ("path", "../marie"),
        ("long", "m" * 33),
        ("empty", ""),
    ):
        changed = ref.canonical(good | {"name": word}).decode()
        add(f"a name that is none: {name}", changed, word, reasons=[6])
    bad(
        "public key without its last octet", [6], public=base64.b64encode(PAIR.public[:-1]).decode()
    )
    bad(
        "public key in another alphabet",
        [6],
        public=good["public"].replace("/", "_").replace("+", "-"),
    )
    bad("public key a number", [6], public=7)
    bad("signature key in capitals", [6], verify=good["verify"].upper())
    bad("signature key of 31 octets", [6], verify=good["verify"][2:])
    for name, word in (("sign", "-1"), ("zeros", "01"), ("a number", 1), ("words", "now")):
        bad(f"no time: {name}", [7], made_ns=word)
    bad("an unknown kind", [8], {"kind": "retina"})
    bad("no kind", [8], {"kind": None})
    for key, values in (
        ("memory_kib", (65535, 262145, 0, True)),
        ("passes", (2, 11, "3")),
        ("lanes", (0, 5)),
    ):
        for value in values:
            bad(f"{key} {value!r}", [9], {key: value})
    bad("a short salt", [10], {"salt": SALT.hex()[2:]})
    bad("a long seal", [10], {"sealed": good["wrapping"]["sealed"] + "00"})
    bad("no seal", [10], {"sealed": ""})
    for name, value in (
        ("a handle below", TPM | {"handle": "0150001f"}),
        ("a handle above", TPM | {"handle": "01500060"}),
        ("a short tag", TPM | {"tag": "00"}),
        ("a key more", TPM | {"owner": ""}),
        ("a word", "tpm"),
        ("a number", 1),
    ):
        bad(f"TPM: {name}", [11], {"tpm": value})
    bad("chosen without a TPM", [12], {"kind": "chosen"})
    return made


# --- passphrases.json ---

SYLLABLES = [one + two for one in "bdfgklmnprstvz" for two in "aeiou"]


def checked(drawn: str) -> str:
    digest = hashlib.sha256(b"greffier/passphrase@v1\0" + drawn.encode()).digest()
    return drawn + SYLLABLES[int.from_bytes(digest, "big") % 70]


def passphrases() -> list[Fields]:
    good = checked("bofuzatimekoludironegasa")
    wrong = good[:-2] + ("ba" if good[-2:] != "ba" else "be")
    groups = "-".join(good[at : at + 6] for at in range(0, 26, 6))
    last = checked("zu" * 12)
    right = [good, groups, groups.upper(), groups.replace("-", " "), f"  {groups}\n", last]
    typed = {text: good if text.lower().strip("\n -")[:2] == "bo" else last for text in right}
    none = [
        "",
        "correct horse battery staple",
        wrong,
        good[:-2],
        good + "ba",
        good[2:4] + good[:2] + good[4:],
        "c" + good[1:],
        good[1:] + good[0],
        good.replace("o", "0"),
        good[:-1],
    ]
    return [{"typed": text, "letters": letters} for text, letters in typed.items()] + [
        {"typed": text, "letters": None} for text in none
    ]


# --- signatures.json ---


def signatures() -> list[Fields]:
    seeds = {"marie": SEED, "paul": OTHER}
    here = [
        {"name": name, "public": ref.Pair(seed).public.hex(), "verify": verify_key(seed).hex()}
        for name, seed in seeds.items()
    ]
    octets, purpose = b'{"part":"01"}', "hold.place"

    def proof(name: str, what: str = purpose, data: bytes = octets, by: str = "") -> Fields:
        message = b"greffier/operator-signature@v1\0" + what.encode() + b"\0" + data
        return {"operator": name, "signature": signer(seeds[by or name]).sign(message).hex()}

    marie, paul = proof("marie"), proof("paul")
    twin = [*here, here[0] | {"name": "marie-2"}]
    rows: list[tuple[str, list[Fields], list[Fields], bool]] = [
        ("two", here, [marie, paul], True),
        ("two, the other way round", here, [paul, marie], True),
        ("nobody", here, [], False),
        ("one", here, [marie], False),
        ("one twice", here, [marie, marie], False),
        ("three", here, [marie, paul, marie], False),
        ("one under two names", twin, [marie, proof("marie-2", by="marie")], False),
        ("nobody's name", here, [marie, paul | {"operator": "eve"}], False),
        ("each other's", here, [proof("marie", by="paul"), proof("paul", by="marie")], False),
        ("for another purpose", here, [marie, proof("paul", "hold.release")], False),
        ("of other octets", here, [marie, proof("paul", data=octets + b" ")], False),
        (
            "purpose and octets joined otherwise",
            here,
            [marie, proof("paul", "hold", b"place\0")],
            False,
        ),
        (
            "an octet changed",
            here,
            [marie, paul | {"signature": "00" + paul["signature"][2:]}],
            False,
        ),
        ("cut", here, [marie, paul | {"signature": paul["signature"][:-2]}], False),
        ("empty", here, [marie, paul | {"signature": ""}], False),
        ("an operator who was removed", here[:1], [marie, paul], False),
    ]
    return [
        {
            "name": name,
            "operators": people,
            "purpose": purpose,
            "octets": octets.hex(),
            "proofs": proofs,
            "agreed": agreed,
        }
        for name, people, proofs, agreed in rows
    ]


# --- months.json ---


def info(month: str, count: int, operator: ref.Pair, console: bytes = CONSOLE) -> bytes:
    head = b"greffier/console-month@v1\0" + month.encode() + count.to_bytes(4, "big")
    return head + ref.Pair(console).key_id + operator.key_id


def fresh() -> dict[str, str]:
    """What is sealed, made once."""
    return {
        "mine": ref.seal_key(CONSOLE, PAIR.public, info("2026-11", 1, PAIR)).hex(),
        "theirs": ref.seal_key(CONSOLE, PAIR2.public, info("2026-11", 1, PAIR2)).hex(),
        "later": ref.seal_key(CONSOLE, PAIR.public, info("2026-12", 1, PAIR)).hex(),
        "second": ref.seal_key(CONSOLE, PAIR.public, info("2026-11", 2, PAIR)).hex(),
        "other key": ref.seal_key(SECRET, PAIR.public, info("2026-11", 1, PAIR)).hex(),
    }


def months(sealed: dict[str, str]) -> list[Fields]:
    made: list[Fields] = []
    mine, theirs = PAIR.key_id.hex(), PAIR2.key_id.hex()

    def coded(name: str) -> str:
        return base64.b64encode(bytes.fromhex(sealed[name])).decode()

    good: Fields = {
        "format": 1,
        "month": "2026-11",
        "number": 1,
        "made_ns": "1795305600000000000",
        "public": base64.b64encode(ref.Pair(CONSOLE).public).decode(),
        "sealed": {mine: coded("mine"), theirs: coded("theirs")},
    }
    text = ref.canonical(good).decode()

    def add(name: str, body: str, file: str = "2026-11.1.json", **more: Any) -> None:
        made.append({"name": name, "file": file, "text": body, "seed": SEED.hex()} | more)

    def bad(name: str, file: str = "2026-11.1.json", **changes: Any) -> None:
        add(name, ref.canonical(good | changes).decode(), file, refused="form")

    add("for the first of two", text, console=CONSOLE.hex())
    add("for the second of two", text, console=CONSOLE.hex(), seed=OTHER.hex())
    add("for somebody else", text, console=None, seed=SECRET.hex())
    for name, file, changes in (
        ("sealed for the month after", "2026-11.1.json", {"sealed": {mine: coded("later")}}),
        ("sealed for the second key", "2026-11.1.json", {"sealed": {mine: coded("second")}}),
        ("renamed to the second key", "2026-11.2.json", {"number": 2}),
        ("renamed to the month after", "2026-12.1.json", {"month": "2026-12"}),
        ("another operator's", "2026-11.1.json", {"sealed": {mine: coded("theirs")}}),
        (
            "another console key than it says",
            "2026-11.1.json",
            {"sealed": {mine: coded("other key")}},
        ),
        (
            "another public key than it holds",
            "2026-11.1.json",
            {"public": base64.b64encode(PAIR2.public).decode()},
        ),
    ):
        add(name, ref.canonical(good | changes).decode(), file, refused="opening")
    add("too long", text + " " * 131072, refused="form")
    add("a space in the JSON", text.replace(":", ": ", 1), refused="form")
    add("a list", "[]", refused="form")
    add("cut", text[:-1], refused="form")
    bad("format 2", format=2)
    bad("format true", format=True)
    bad("a key more", note=1)
    bad("month 13", month="2026-13")
    bad("a day", month="2026-11-01")
    bad("number 0", number=0, file="2026-11.0.json")
    bad("number true", number=True)
    bad("number 10000", number=10000, file="2026-11.10000.json")
    bad("no time", made_ns=1)
    bad("the file of another month", "2026-12.1.json")
    bad("the file of another number", "2026-11.01.json")
    bad("public key a word", public="word")
    bad("public key cut", public=base64.b64encode(PAIR.public[:-1]).decode())
    bad(
        "an X25519 point of low order",
        public=base64.b64encode(PAIR.public[:1184] + bytes(32)).decode(),
    )
    bad("sealed to nobody", sealed={})
    bad("sealed to 65", sealed={f"{one:016x}": coded("mine") for one in range(65)})
    bad(
        "a key id in capitals", sealed={mine.upper(): coded("mine")} if mine.upper() != mine else {}
    )
    bad("a short envelope", sealed={mine: coded("mine")[:-4]})
    bad("an envelope that is no text", sealed={mine: 1})
    bad("an envelope with a line feed", sealed={mine: coded("mine") + "\n"})
    return made


def main() -> None:
    """Write the four files."""
    path = HERE / "months.json"
    sealed = json.loads(path.read_text())["sealed"] if path.exists() else fresh()
    files: dict[str, Fields] = {
        "cards.json": {"vectors": cards()},
        "passphrases.json": {"vectors": passphrases()},
        "signatures.json": {"vectors": signatures()},
        "months.json": {"sealed": sealed, "vectors": months(sealed)},
    }
    for name, value in files.items():
        text = json.dumps({"description": "docs/operator-keys.md"} | value, indent=1)
        (HERE / name).write_text(text + "\n")


if __name__ == "__main__":
    main()
