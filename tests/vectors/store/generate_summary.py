"""Make summary.json: vectors of the summary, from docs/summary-format.md alone.

Nothing of the product is imported, so an error of the product is not copied into its vectors.
Run from anywhere: ``python tests/vectors/store/generate_summary.py``.
"""

import json
from pathlib import Path
from typing import Any

MAGIC = bytes.fromhex("894753550D0A1A0A")
FILE = "entries-0000000000.glog"
LOG: dict[str, Any] = {
    "size": 5,
    "peaks": ["11" * 32, "22" * 32],
    "closed": {FILE: 1234},
    "open": "entries-0000000004.1.glog",
    "offset": 77,
}


def section(name: bytes, data: bytes) -> bytes:
    return bytes([len(name)]) + name + len(data).to_bytes(8, "big") + data


def summary(
    log: Any = LOG, more: bytes = section(b"story", b"{}"), magic: bytes = MAGIC, version: int = 1
) -> bytes:
    told = log if isinstance(log, bytes) else json.dumps(log).encode()
    return magic + version.to_bytes(2, "big") + section(b"log", told) + more


def changed(**change: Any) -> bytes:
    return summary({**LOG, **change})


def lacking(key: str) -> bytes:
    return summary({name: value for name, value in LOG.items() if name != key})


def main() -> None:
    whole = summary()
    good = [
        ("a file is open", whole, LOG, ["story"]),
        ("no file is open", changed(open=None, offset=0), {**LOG, "open": None, "offset": 0},
         ["story"]),
        ("an empty log", changed(size=0, peaks=[], closed={}),
         {**LOG, "size": 0, "peaks": [], "closed": {}}, ["story"]),
        ("a section that is empty", summary(more=section(b"waits", b"")), LOG, ["waits"]),
    ]  # fmt: skip
    bad = [
        ("empty", b"", 0),
        ("wrong magic", summary(magic=MAGIC[:-1] + b"\x0b"), 0),
        ("the line ends were changed", whole.replace(b"\r\n", b"\n", 1), 0),
        ("another version", summary(version=2), 8),
        ("nothing but a header", whole[:10], 10),
        ("no section says which log", MAGIC + b"\0\1" + section(b"story", b"{}"), 10),
        ("a section is cut", whole[:-1], len(whole) - 2 - 8 - 6),
        ("a length is cut", whole + b"\x05wa", len(whole)),
        ("a section is longer than the file", whole + b"\x01x" + b"\xff" * 8, len(whole)),
        ("a section is there twice", whole + section(b"story", b""), len(whole)),
        ("not JSON", summary(b"{"), 10),
        ("not an object", summary([1]), 10),
        ("deeply nested", summary(b"[" * 2_000), 10),
        *((f"{key} is missing", lacking(key), 10) for key in LOG),
        ("a peak too few", changed(peaks=["11" * 32]), 10),
        ("a peak is short", changed(peaks=["11" * 32, "22"]), 10),
        ("a peak is not hex", changed(peaks=["11" * 32, "zz" * 32]), 10),
        ("a negative size", changed(size=-1), 10),
        ("a size that is no number", changed(size="5"), 10),
        ("a negative offset", changed(offset=-1), 10),
        ("a file elsewhere", changed(open="../keys/log.key"), 10),
        ("a closed file elsewhere", changed(closed={"../x": 1}), 10),
        ("a closed file of no length", changed(closed={FILE: None}), 10),
        ("a closed file of a negative length", changed(closed={FILE: -1}), 10),
    ]
    vectors: list[dict[str, Any]] = [
        {"name": name, "data": data.hex(), "known": known, "sections": sections}
        for name, data, known, sections in good
    ]
    vectors += [{"name": name, "data": data.hex(), "refused": offset} for name, data, offset in bad]
    path = Path(__file__).with_name("summary.json")
    path.write_text(json.dumps(vectors, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
