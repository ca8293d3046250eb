# fmt: off
"""Checks a deletion certificate by docs/deletion-certificate.md alone, by code of its own.
Usage: independent_certificate.py FILE KEYS (verifier keys, one a line).
Exit code: 0 it holds, 2 usage, 3 no key of whoever signed it, 20 refused."""
import base64
import json
import re
import sys
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OFFICE = re.compile(r"""greffier/deletion@v1
device [A-Za-z0-9._-]{1,64}
part [0-9a-f]{32}
recording [0-9a-f]{32}
bytes (?:0|[1-9][0-9]{0,15})
sha256 [0-9a-f]{64}
envelope [0-9a-f]{64}
rule (?:DELETE_DUE
reason -|DELETE_ASKED
reason [A-Za-z][A-Za-z0-9_.-]{0,47})
class [ABC]
medium (?:file|tpm)
decided (0|[1-9][0-9]{0,18})
destroyed (0|[1-9][0-9]{0,18})
""", re.ASCII)
class Refused(Exception):
    """A broken rule; the first argument is its code."""
def signers(note: str, keys: list[str], code: str = "unsigned") -> tuple[str, dict[str, int]]:
    """The text of a signed note, and each known key that signed it with its time (-1: none)."""
    head, blank, block = note.rpartition("\n\n")
    text, found, seen = head + "\n", {}, set()
    if not blank or not block.endswith("\n") or not text.strip():
        raise Refused("garbled", "no signed note")
    for line in block[:-1].split("\n"):
        match = re.fullmatch(r"— (\S+) (\S+)", line)
        raw = base64.b64decode(match[2], validate=True) if match else b""
        twice = line in seen
        if match is None or len(raw) < 5 or base64.b64encode(raw).decode() != match[2] or twice:
            raise Refused("garbled", "a signature line")
        seen.add(line)
        for key in keys:
            name, _key_id, material = key.split("+", 2)
            public = base64.b64decode(material)
            if name != match[1] or sha256(name.encode() + b"\n" + public).digest()[:4] != raw[:4]:
                continue
            body, signature, time = text, raw[4:], -1
            if public[0] == 4:  # C2SP tlog-cosignature
                time, signature = int.from_bytes(raw[4:12]), raw[12:]
                body = f"cosignature/v1\ntime {time}\n{text}"
            try:
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature, body.encode())
            except InvalidSignature:
                raise Refused("forged", f"the signature of {name} does not hold") from None
            found[key] = time
    if not found:
        raise Refused(code, "no given key signed it")
    return text, found
def root_of(leaf: bytes, at: int, size: int, proof: list[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162 2.1.3.2); None: it does not fit."""
    last = size - 1
    for node in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            leaf = sha256(b"\1" + node + leaf).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            leaf = sha256(b"\1" + leaf + node).digest()
        at, last = at >> 1, last >> 1
    return leaf if last == 0 else None
def canonical(value: object) -> str:
    """RFC 8785, as far as our files go."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
def of_office(note: str, keys: list[str]) -> dict:
    """What head office's certificate says."""
    match = OFFICE.fullmatch(note.rpartition("\n\n")[0] + "\n")
    if match is None or len(note) > 2048 or note.rpartition("\n\n")[2].count("\n") != 1:
        raise Refused("garbled", "not the text of a certificate, or not one signature")
    if not int(match[1]) <= int(match[2]) < 2**63:
        raise Refused("garbled", "its times")
    own = [one for one in keys if one.split("+")[0].endswith("/deletion")]
    return dict(line.split(" ", 1) for line in signers(note, own)[0].splitlines()[1:])
def of_box(text: str, keys: list[str]) -> dict:
    """What a box's certificate proves."""
    try:
        value = json.loads(text)
        good = text == canonical(value) + "\n" and len(text.encode()) <= 1 << 20
        good &= value.keys() == {"v", "is", "part", "checkpoint", "entries"}
        good &= (value["v"], value["is"]) == (1, "deletion-certificate")
        good &= 2 <= len(value["entries"]) <= 16
        for one in value["entries"]:
            good &= one.keys() == {"seq", "entry", "proof"} and type(one["seq"]) is int
            good &= one["seq"] >= 0 and len(one["proof"]) <= 64
            good &= all(re.fullmatch("[0-9a-f]{64}", node) for node in one["proof"])
        note = value["checkpoint"]
        origin, size, root = note.partition("\n\n")[0].split("\n")
        good &= re.fullmatch("0|[1-9][0-9]{0,15}", size) is not None
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise Refused("garbled", "not as section 2 says")
    own = [one for one in keys if one.split("+")[0] == origin]
    if not own:
        raise Refused("origin", f"no key of {origin}")
    witnesses = [one for one in keys if base64.b64decode(one.split("+", 2)[2])[0] == 4]
    signed = signers(note, own + witnesses)[1]
    if not set(own) & set(signed):
        raise Refused("unsigned", "the log's key did not sign it")
    told = []
    for one in value["entries"]:
        try:
            entry = json.loads(one["entry"])
            if canonical(entry) != one["entry"] or entry["seq"] != one["seq"]:
                raise ValueError
            told.append((entry["ev"], entry["data"], entry))
        except (ValueError, KeyError, TypeError):
            raise Refused("entry", f"entry {one['seq']}") from None
        leaf = sha256(b"\0" + one["entry"].encode()).digest()
        proof, at = [bytes.fromhex(node) for node in one["proof"]], one["seq"]
        if at >= int(size) or root_of(leaf, at, int(size), proof) != base64.b64decode(root):
            raise Refused("proof", f"entry {one['seq']} is not in the log")
    times = [one for one in signed.values() if one >= 0]
    return story(value["part"], told, min(times, default=None))
def story(part: str, told: list, witnessed: int | None) -> dict:
    """What the entries tell of the part."""
    kinds = [kind for kind, _, _ in told]
    numbers = [entry["seq"] for _, _, entry in told]
    shreds = [data for kind, data, _ in told if kind == "key.shredded"]
    good = numbers == sorted(set(numbers)) and kinds[0] == "part.opened" and len(shreds) >= 2
    good = good and kinds.count("part.opened") == 1 and kinds[-1] == "key.shredded"
    good = good and "outcome" not in shreds[0] and shreds[-1].get("outcome") == "done"
    for kind, data, _ in told:
        named = data.get("parts", []) if kind == "key.shredded" else [data.get("part")]
        good = good and part in named and kind in (
            "part.opened", "part.sealed", "part.recovered", "key.shredded")
    if not good:
        raise Refused("story", "the entries do not tell that the part was destroyed")
    sealed = [data for kind, data, _ in told if kind in ("part.sealed", "part.recovered")]
    last = told[-1][2]
    return {"part": part, "recording": told[0][1]["recording"], "reason": shreds[0]["reason"],
        "class": shreds[-1]["class"], "not_before_ns": last["t_lb_ns"], "wall_ns": last["t_ns"],
        "witnessed_s": witnessed, "bytes": sealed[-1]["bytes"] if sealed else None,
        "sha256": sealed[-1]["sha256"] if sealed else None}
def main(words: list[str]) -> int:
    """Check the file, print what it says."""
    if len(words) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        text = Path(words[0]).read_bytes().decode()
        lines = Path(words[1]).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    keys = [line for line in lines if line.strip() and not line.startswith("#")]
    office = text.startswith("greffier/deletion@v1\n")
    try:
        print(json.dumps(of_office(text, keys) if office else of_box(text, keys)))
    except Refused as error:
        print(*error.args, sep=": ", file=sys.stderr)
        return 3 if error.args[0] in ("unsigned", "origin") else 20
    return 0
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
