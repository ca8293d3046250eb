"""Makes the audit vectors from the slow reference; run from the root of the repository.

.venv/bin/python -m tests.vectors.audit.generate
"""

import base64
import json
from pathlib import Path
from typing import Any

from tests.reference import audit as reference

HERE = Path(__file__).parent
ORIGIN = "greffier/" + "d0" * 16
SEED, WITNESS_SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
WITNESS = "office.example/witness"
EMPTY = reference.tree([])
NANO = 1_795_305_600_000_000_000


def entry(seq: int, ev: str, data: dict[str, Any], rec: str | None = None) -> dict[str, Any]:
    return {
        "seq": seq,
        "boot": "b0" * 16,
        "mono_ns": 1_000_000 * (seq + 1),
        "t_ns": NANO + 1_000_000 * (seq + 1),
        "t_lb_ns": NANO,
        "t_src": "build",
        "ev": ev,
        "rec": rec,
        "salt": f"{seq:032x}",
        "data": data,
    }


def sample() -> list[bytes]:
    part, rec, digest = "aa" * 16, "bb" * 16, "cc" * 32
    opened = {"part": part, "recording": rec, "number": 0}
    sealed = {
        "bytes": 2048, "sha256": digest, "root": digest, "commitment": digest,
        "frames": 3, "end": "ended",
    }  # fmt: skip
    uid = "d0" * 16 + "/accueil/0000000001"
    decided = {
        "uid": uid, "line": "accueil", "record": "full", "codes": ["SAMPLED_IN"],
        "call": digest, "u": 1674113613283328, "stratum": "accueil/in",
    }  # fmt: skip
    covered = {
        "line": "accueil", "channel": uid, "from_ns": NANO, "to_ns": NANO + 8_000_000_000,
        "state": "recorded", "packets": 400, "samples": 64000,
    }  # fmt: skip
    rows = [
        ("device.created", {"device": "d0" * 16, "version": "0.1.0"}, None),
        ("epoch.opened", {"epoch": "2026-11-22.b0", "commit": digest}, None),
        ("call.decided", decided, rec),
        ("part.opened", opened, rec),
        ("part.sealed", opened | sealed, rec),
        ("call.ended", {"uid": uid, "result": "ok"}, rec),
        ("coverage", covered, None),
        ("epoch.closed", {"epoch": "2026-11-22.b0"}, None),
    ]
    return [reference.entry_bytes(entry(seq, *row)) for seq, row in enumerate(rows)]


def of_head_office() -> list[bytes]:
    """What a log says of receipts: entries of their own, after those of the sample."""
    part, rec, digest = "aa" * 16, "bb" * 16, "cc" * 32
    opened = {
        "part": part, "recording": rec, "number": 0, "envelope": digest, "created_ns": NANO,
        "until_ns": NANO + 180 * 86_400 * 10**9,
    }  # fmt: skip
    received = {
        "part": part, "bytes": 2048, "sha256": digest, "envelope": digest, "at_ns": NANO,
        "by": "siege/receipt", "key": "49b66042", "signature": "dd" * 64,
    }  # fmt: skip
    shredded = {"reason": "due", "class": "C", "parts": [part], "outcome": "done"}
    rows = [
        ("part.opened", opened, rec),
        ("office.trusted", {"sha256": digest, "keys": ["49b66042"]}, None),
        ("part.received", received, rec),
        ("key.shredded", shredded, None),
    ]
    return [reference.entry_bytes(entry(seq, *row)) for seq, row in enumerate(rows, 8)]


def entries() -> dict[str, Any]:
    good = sample() + of_head_office()
    first = good[0].decode()
    changes = {
        "a space": first.replace('":', '": ', 1),
        "keys out of order": '{"v":1,' + first[1:-7] + "}",
        "a key twice": first[:-1] + ',"v":1}',
        "a missing salt": first.replace(f'"salt":"{"0" * 32}",', ""),
        "an unknown key": first[:-1] + ',"w":1}',
        "version 2": first.replace('"v":1', '"v":2'),
        "a version that is a float": first.replace('"v":1', '"v":1.0'),
        "a time that is a number": first.replace('"t_ns":"1795305600001000000"', '"t_ns":5'),
        "a time with a zero before it": first.replace('"mono_ns":"', '"mono_ns":"0'),
        "a time beyond 63 bits": first.replace(
            '"t_ns":"1795305600001000000"', f'"t_ns":"{2**63}"'
        ),
        "an unknown kind": first.replace("device.created", "device.destroyed"),
        "an unknown key of its data": first.replace('"version":', '"vendor":'),
        "a needless escape": first.replace("device.created", "device\\u002ecreated"),
        "a source of time that is none": first.replace('"t_src":"build"', '"t_src":"ntp"'),
        "capital hex digits": first.replace("b0b0", "B0B0"),
        "an array": "[]",
        "nothing": "",
        "a newline after it": first + "\n",
        "a receipt without its signature": good[10].decode().replace(
            f',"signature":"{"dd" * 64}"', ""
        ),
        "a number of a caller for a line": good[2].decode().replace(
            '"line":"accueil"', '"line":"0142345678"'
        ),
    }  # fmt: skip
    assert all(text.encode() not in good for text in changes.values())
    return {
        "valid": [
            {"entry": data.decode(), "leaf": reference.leaf(data).hex()} for data in good
        ],
        "root": reference.tree([reference.leaf(data) for data in good]).hex(),
        "invalid": [{"name": name, "entry": text} for name, text in changes.items()],
    }  # fmt: skip


def notes() -> dict[str, Any]:
    text = reference.checkpoint_text(ORIGIN, 8, EMPTY)
    log = reference.log_line(ORIGIN, SEED, text)
    witness = reference.witness_line(WITNESS, WITNESS_SEED, text, 1_795_305_600)
    other = reference.log_line(ORIGIN, OTHER_SEED, text)

    def signed(changed: str) -> str:
        return changed + "\n" + reference.log_line(ORIGIN, SEED, changed)

    foreign = reference.checkpoint_text("greffier/other", 8, EMPTY)
    cases: list[tuple[str, str, str | None, list[Any]]] = [
        ("plain", f"{text}\n{log}", None, []),
        ("cosigned", f"{text}\n{log}{witness}", None, [[WITNESS, 1_795_305_600]]),
        ("the witness before the log", f"{text}\n{witness}{log}", None, [[WITNESS, 1_795_305_600]]),
        ("a line by an unknown key", f"{text}\n{other}{log}", None, []),
        ("no signature", f"{text}\n", "garbled", []),
        ("only another key of the same name", f"{text}\n{other}", "unsigned", []),
        ("only the witness", f"{text}\n{witness}", "unsigned", []),
        ("another text under the signature", f"{text.replace('8', '9', 1)}\n{log}", "forged", []),
        ("the log's line twice", f"{text}\n{log}{log}", "garbled", []),
        ("another origin, rightly signed", signed(foreign), "origin", []),
        ("an extension line", signed(text + "more\n"), "garbled", []),
        ("a size with a zero before it", signed(text.replace("\n8\n", "\n08\n")), "garbled", []),
        ("a negative size", signed(text.replace("\n8\n", "\n-8\n")), "garbled", []),
        ("a root of 31 bytes", signed(f"{ORIGIN}\n8\n{base64.b64encode(bytes(31)).decode()}\n"),
         "garbled", []),
        ("a root with loose bits", signed(text.replace("uFU=", "uFV=")), "garbled", []),
        ("an empty line inside", signed(text.replace("\n8", "\n\n8")), "garbled", []),
        ("carriage returns", f"{text}\n{log}".replace("\n", "\r\n"), "garbled", []),
        ("a hyphen for the dash", f"{text}\n{log.replace('—', '-')}", "garbled", []),
        ("no newline at the end", f"{text}\n{log}".rstrip("\n"), "garbled", []),
        ("a line after the signatures", f"{text}\n{log}\n", "garbled", []),
        ("a signature cut short", f"{text}\n— {ORIGIN} AAAA\n{log}", "garbled", []),
        ("two spaces in a signature line", f"{text}\n{log.replace('— ', '—  ')}", "garbled", []),
        ("not UTF-8", f"{text}\n{log}\udcff", "garbled", []),
        ("a cosignature of another time",
         f"{text}\n{log}{reforged(witness)}", "forged", []),
        ("empty", "", "garbled", []),
    ]  # fmt: skip
    good = reference.vkey(ORIGIN, 1, SEED)
    name, key_id, material = good.split("+", 2)
    return {
        "c2sp": {
            "source": "https://c2sp.org/signed-note, section Example",
            "vkey": "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "note": "This is an example message.\n\n"
            "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq"
            "6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1"
            "Yu72IneyaQM=\n",
        },
        "go": {
            "source": "https://pkg.go.dev/golang.org/x/mod/sumdb/note, section Example",
            "vkey": "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "skey": "PRIVATE+KEY+PeterNeumann+c74f20a3+"
            "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
            "text": "If you think cryptography is the answer to your problem,\n"
            "then you don't know what your problem is.\n",
            "note": "If you think cryptography is the answer to your problem,\n"
            "then you don't know what your problem is.\n\n"
            "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdn"
            "gotpRZb6KE6RyyBwJnAM=\n",
        },
        "log": good,
        "witnesses": [reference.vkey(WITNESS, 4, WITNESS_SEED)],
        "bad_keys": [
            "",
            "nonsense",
            f"{name}+{key_id}",
            f"{name}+00000000+{material}",
            f"{name}+{key_id.upper()}0+{material}",
            f"+{key_id}+{material}",
            f"a b+{key_id}+{material}",
            f"{name}+{key_id}+{material[:-4]}",
            f"{name}+{key_id}+{material}=",
            f"{name}+{key_id}+{material}\n",
            f"{name}+{key_id}+{base64.b64encode(bytes([2]) + bytes(32)).decode()}",
        ],
        "checkpoints": [
            {"name": what, "note": data, "error": error, "size": 8, "cosigned": cosigned}
            for what, data, error, cosigned in cases
        ],
    }  # fmt: skip


def reforged(line: str) -> str:
    name, blob = line.split()[1:]
    raw = bytearray(base64.b64decode(blob))
    raw[11] ^= 1
    return f"— {name} {base64.b64encode(bytes(raw)).decode()}\n"


def log_files() -> dict[str, Any]:
    good = sample()
    leaves = [reference.leaf(data) for data in good]
    text = reference.checkpoint_text(ORIGIN, len(good), reference.tree(leaves))
    files = {
        "keys/log.pub": (reference.vkey(ORIGIN, 1, SEED) + "\n").encode(),
        "audit/entries-0000000000.glog": b"".join(map(reference.frame, good)),
        "audit/leaves": b"".join(leaves),
        "audit/checkpoint": f"{text}\n{reference.log_line(ORIGIN, SEED, text)}".encode(),
    }
    return {
        "size": len(good),
        "root": text.split("\n")[2],
        "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
    }


def coverage() -> dict[str, Any]:
    rows = [
        ("one state", [("recorded", 0, 10)]),
        ("two that touch", [("recorded", 0, 10), ("idle", 10, 25)]),
        ("a hole", [("recorded", 0, 10), ("idle", 12, 20)]),
        ("an overlap", [("recorded", 0, 10), ("idle", 5, 20)]),
        ("loss inside a recording", [("recorded", 0, 10), ("lost", 3, 4), ("idle", 10, 12)]),
        ("everything at once", [(s, 0, 7) for s in (
            "idle", "off", "blind", "not_recorded", "recorded", "paused", "lost")]),
        ("a pause over a loss", [("paused", 2, 9), ("lost", 4, 6), ("recorded", 0, 12)]),
        ("out of order", [("idle", 10, 20), ("blind", 0, 10)]),
    ]  # fmt: skip
    cases = []
    for name, marks in rows:
        items = [{"state": s, "from_ns": a, "to_ns": b} for s, a, b in marks]
        low, high = min(i["from_ns"] for i in items), max(i["to_ns"] for i in items)
        for start, end in ((low, high), (low + 2, high - 1)):
            wanted = reference.coverage_ns(items, start, end)
            cases.append(
                {"name": name, "from_ns": start, "to_ns": end, "intervals": items, "ns": wanted}
            )
    return {"cases": cases}


def main() -> None:
    made = {"entries": entries(), "notes": notes(), "log": log_files(), "coverage": coverage()}
    for name, value in made.items():
        text = json.dumps(value, indent=1, ensure_ascii=True) + "\n"
        (HERE / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
