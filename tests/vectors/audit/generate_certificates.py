"""Makes the vectors of deletion certificates from the slow reference; from the repository's root.

.venv/bin/python -m tests.vectors.audit.generate_certificates
"""

import json
from pathlib import Path
from typing import Any

from tests.reference import audit as reference

HERE = Path(__file__).parent
ORIGIN = "greffier/box-1a2b3c4d"
SEED, WITNESS_SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
DELETION_SEED = bytes(range(3, 35))
WITNESS = "siege"
NANO = 1_795_305_600_000_000_000
TIME_S = 1_795_392_000
PART, OTHER, REC, DIGEST = "aa" * 16, "ab" * 16, "bb" * 16, "cc" * 32


def entry(seq: int, ev: str, data: dict[str, Any], rec: str | None = None) -> bytes:
    fields = {
        "seq": seq, "boot": "b0" * 16, "mono_ns": seq, "t_ns": NANO + seq, "t_lb_ns": NANO,
        "t_src": "cosignature", "ev": ev, "rec": rec, "salt": f"{seq:032x}", "data": data,
    }  # fmt: skip
    return reference.entry_bytes(fields)


def path(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 6962 section 2.1.1, as it stands there."""
    if len(leaves) == 1:
        return []
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    if index < half:
        return [*path(leaves[:half], index), reference.tree(leaves[half:])]
    return [*path(leaves[half:], index - half), reference.tree(leaves[:half])]


def log() -> list[bytes]:
    opened = {"part": PART, "recording": REC, "number": 0, "created_ns": NANO}
    opened |= {"purposes": ["quality"], "class": "C"}
    sealed = {"part": PART, "recording": REC, "number": 0, "bytes": 2048, "sha256": DIGEST}
    sealed |= {"root": DIGEST, "commitment": DIGEST, "frames": 3, "end": "ended"}
    shredded = {"reason": "due", "class": "C", "parts": [OTHER, PART]}
    rows: list[tuple[str, dict[str, Any], str | None]] = [
        ("device.created", {"device": "box-1a2b3c4d", "version": "0.1.0"}, None),
        ("part.opened", opened, REC),
        ("part.opened", opened | {"part": OTHER}, REC),
        ("part.sealed", sealed, REC),
        ("key.shredded", shredded, None),
        ("key.shredded", shredded | {"outcome": "done", "generation": 7}, None),
        ("recorder.stopped", {"reason": "ended"}, None),
    ]
    return [entry(seq, ev, data, rec) for seq, (ev, data, rec) in enumerate(rows)]


ABOUT = (1, 3, 4, 5)


def checkpoint(entries: list[bytes], cosigned: bool = True, seed: bytes = SEED) -> str:
    root = reference.tree([reference.leaf(one) for one in entries])
    text = reference.checkpoint_text(ORIGIN, len(entries), root)
    note = f"{text}\n{reference.log_line(ORIGIN, seed, text)}"
    return note + (reference.witness_line(WITNESS, WITNESS_SEED, text, TIME_S) if cosigned else "")


def certificate(
    entries: list[bytes], about: tuple[int, ...] = ABOUT, **changed: Any
) -> dict[str, Any]:
    leaves = [reference.leaf(one) for one in entries]
    return {
        "v": 1,
        "is": "deletion-certificate",
        "part": PART,
        "checkpoint": checkpoint(entries),
        "entries": [
            {
                "seq": seq,
                "entry": entries[seq].decode(),
                "proof": [one.hex() for one in path(leaves, seq)],
            }
            for seq in about
        ],
    } | changed


def line(value: object) -> str:
    return reference.canonical(value).decode() + "\n"


def with_entry(value: dict[str, Any], at: int, **changed: Any) -> dict[str, Any]:
    entries = [dict(one) for one in value["entries"]]
    entries[at] |= changed
    return value | {"entries": entries}


def boxes() -> dict[str, Any]:
    entries = log()
    good = certificate(entries)
    failed = [*entries[:5], entry(5, "key.shredded", {
        "reason": "due", "class": "C", "parts": [PART], "outcome": "failed"})]  # fmt: skip
    bare = [entries[0], entry(1, "part.opened", json.loads(entries[1])["data"] | {
        "created_ns": NANO}, REC), *(entry(seq, "key.shredded", {
            "reason": "refused", "class": "A", "parts": [PART]} | more)
            for seq, more in ((2, {}), (3, {"outcome": "done"})))]  # fmt: skip
    other = json.loads(entries[3].decode())
    invalid = [
        ("no line feed", "garbled", line(good)[:-1]),
        ("not canonical", "garbled", json.dumps(good) + "\n"),
        ("another version", "garbled", line(good | {"v": 2})),
        ("something else", "garbled", line(good | {"is": "receipt"})),
        ("a key too many", "garbled", line(good | {"more": 1})),
        ("one entry", "garbled", line(good | {"entries": good["entries"][:1]})),
        ("half a hash", "garbled", line(with_entry(good, 0, proof=["00"]))),
        ("capitals in a hash", "garbled", line(with_entry(good, 0, proof=["AA" * 32]))),
        ("a negative number", "garbled", line(with_entry(good, 0, seq=-1))),
        ("no note", "garbled", line(good | {"checkpoint": "no note"})),
        ("signed by another", "unsigned", line(good | {
            "checkpoint": checkpoint(entries, seed=OTHER_SEED)})),
        ("another size", "forged", line(good | {
            "checkpoint": good["checkpoint"].replace("\n7\n", "\n8\n")})),
        ("another log", "origin", line(good | {
            "checkpoint": good["checkpoint"].replace(ORIGIN + "\n", ORIGIN + "0\n", 1)})),
        ("an entry that is none", "entry", line(with_entry(good, 1, entry="{}"))),
        ("an entry at another place", "entry", line(with_entry(good, 1, seq=4))),
        ("an altered entry", "proof", line(with_entry(
            good, 1, entry=reference.canonical(
                other | {"data": other["data"] | {"bytes": 2049}}).decode()))),
        ("another's proof", "proof", line(with_entry(
            good, 1, proof=good["entries"][0]["proof"]))),
        ("a proof that lacks its end", "proof", line(with_entry(
            good, 1, proof=good["entries"][1]["proof"][:-1]))),
        ("of another part", "story", line(good | {"part": OTHER})),
        ("not opened", "story", line(certificate(entries, (3, 4, 5)))),
        ("opened twice", "story", line(certificate(entries, (1, 1, 4, 5)))),
        ("another part's beginning", "story", line(certificate(entries, (1, 2, 4, 5)))),
        ("out of order", "story", line(certificate(entries, (1, 5, 4)))),
        ("not done", "story", line(certificate(entries, (1, 3, 4)))),
        ("done and not begun", "story", line(certificate(entries, (1, 3, 5)))),
        ("something behind it", "story", line(certificate(entries, (1, 4, 5, 6)))),
        ("failed", "story", line(certificate(failed, (1, 3, 4, 5)))),
    ]  # fmt: skip
    return {
        "key": reference.vkey(ORIGIN, 1, SEED),
        "witness": reference.vkey(WITNESS, 4, WITNESS_SEED),
        "valid": {
            "cosigned": {"file": line(good), "witnessed_s": TIME_S},
            "not witnessed": {
                "file": line(good | {"checkpoint": checkpoint(entries, cosigned=False)}),
                "witnessed_s": None,
            },
            "destroyed before it was sealed": {
                "file": line(certificate(bare, (1, 2, 3))), "witnessed_s": TIME_S,
            },
        },
        "invalid": {name: {"code": code, "file": file} for name, code, file in invalid},
    }  # fmt: skip


def office_text(**changed: str) -> str:
    values = {
        "device": "box-1a2b3c4d", "part": PART, "recording": REC, "bytes": "2048",
        "sha256": DIGEST, "envelope": "dd" * 32, "rule": "DELETE_DUE", "reason": "-",
        "class": "C", "medium": "file", "decided": str(TIME_S), "destroyed": str(TIME_S + 1),
    } | changed  # fmt: skip
    return "greffier/deletion@v1\n" + "".join(f"{key} {one}\n" for key, one in values.items())


def signed(text: str, name: str = "siege/deletion", seed: bytes = DELETION_SEED) -> str:
    return f"{text}\n{reference.log_line(name, seed, text)}"


def offices() -> dict[str, Any]:
    good = signed(office_text())
    invalid = [
        ("altered", "forged", good.replace("bytes 2048", "bytes 2049")),
        ("signed by another", "unsigned", signed(office_text(), seed=OTHER_SEED)),
        ("signed by the receipts' key", "unsigned", signed(office_text(), "siege/receipt", SEED)),
        ("two signatures", "garbled", good + reference.log_line("x", OTHER_SEED, office_text())),
        ("another rule", "garbled", signed(office_text(rule="DELETE_SPACE"))),
        ("due for a reason", "garbled", signed(office_text(reason="erased"))),
        ("asked for none", "garbled", signed(office_text(rule="DELETE_ASKED"))),
        ("destroyed before it was decided", "garbled", signed(office_text(decided="9" * 11))),
        ("a time beyond 2^63", "garbled", signed(office_text(destroyed=str(2**63)))),
        ("a zero before", "garbled", signed(office_text(bytes="02048"))),
        ("class D", "garbled", signed(office_text(**{"class": "D"}))),
        ("a line too many", "garbled", signed(office_text() + "more 1\n")),
        ("no signature", "garbled", office_text()),
    ]
    return {
        "key": reference.vkey("siege/deletion", 1, DELETION_SEED),
        "receipt": reference.vkey("siege/receipt", 1, SEED),
        "valid": {
            "due": good,
            "asked": signed(office_text(rule="DELETE_ASKED", reason="erased")),
        },
        "invalid": {name: {"code": code, "file": file} for name, code, file in invalid},
    }


if __name__ == "__main__":
    value = {"boxes": boxes(), "offices": offices()}
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / "certificates.json").write_text(text + "\n")
