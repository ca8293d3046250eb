"""Fuzz targets of the store room: bytes in, nothing but the documented refusals out."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from greffier.store import journal
from greffier.store.shred_format import (
    BadBucket,
    BadRoot,
    BucketKey,
    Entry,
    Name,
    Root,
    bucket_header,
    open_root,
    seal_record,
    seal_root,
    walk,
)
from greffier.trust import BadEffaceable, parse_effaceable, write_effaceable
from greffier.trust.roots import parse_description
from greffier.trust.tpm import BadCell, Cell
from greffier.trust.tpm_wire import BadAnswer, TpmRefused, index_of, look_at, parameters_of

_KEY = bytes(range(32))
_DAY = "2026-03-01"
_BUCKET = BucketKey(5, _KEY)


def _bucket(data: bytes) -> None:
    half = len(data) // 2
    for copies in ([data], [data[:half], data], [data, data[half:]]):
        with suppress(BadBucket):
            walk(copies, _DAY, _BUCKET)


def _root(data: bytes) -> None:
    with suppress(BadRoot):
        open_root(data, _KEY)


def _effaceable(data: bytes) -> None:
    with suppress(BadEffaceable):
        parse_effaceable(data)


def _cell(data: bytes) -> None:
    with suppress(BadCell):
        Cell.parse(data)


def _description(data: bytes) -> None:
    with suppress(ValueError):
        parse_description(data)


def _answer(data: bytes) -> None:
    with suppress(BadAnswer, TpmRefused):
        index_of(parameters_of(data, look_at(1)))


def _journal(data: bytes) -> None:
    with suppress(journal.BadJournal):
        for record in journal.read(data).records:
            journal.open_sealed(record, _KEY)


def _bucket_seed() -> bytes:
    entries = [Entry(Name(what, bytes([what]) * 16), "C", b"envelope" * what) for what in (1, 2, 3)]
    records = [seal_record(_DAY, _BUCKET, seq, one, bytes(16)) for seq, one in enumerate(entries)]
    return bucket_header(_DAY, 5) + b"".join(records)


def _journal_seed() -> bytes:
    header = journal.write_header("e1", 1)
    clear = {"uid": "0" * 32, "line": "l", "start_ns": "1", "end_ns": None, "recording": None}
    records = [
        journal.seal_record(header, _KEY, number, clear, {"from": "1"}) for number in range(3)
    ]
    return header + b"".join(records)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "store.bucket": _bucket,
    "store.root": _root,
    "store.effaceable": _effaceable,
    "store.tpm_cell": _cell,
    "store.effaceable_json": _description,
    "store.tpm_answer": _answer,
    "store.journal": _journal,
}
SEEDS: Mapping[str, list[bytes]] = {
    "store.bucket": [_bucket_seed(), bucket_header(_DAY, 5)],
    "store.root": [seal_root(Root(5, {_DAY: _BUCKET}), _KEY, bytes(32))],
    "store.effaceable": [write_effaceable(1, _KEY)],
    "store.tpm_cell": [Cell(1, bytes(16), _KEY).to_bytes()],
    "store.effaceable_json": [
        b'{"format":1,"root":"file"}',
        b'{"format":1,"handles":["01500010","01500011"],"root":"tpm","store":"' + b"0" * 32 + b'"}',
    ],
    "store.tpm_answer": [
        bytes.fromhex("8001 0000003e 00000000 000e 01500010000b220410040000 0044")
        + bytes.fromhex("0022000b")
        + bytes(32)
    ],
    "store.journal": [_journal_seed(), journal.write_header("e1", 1)],
}
