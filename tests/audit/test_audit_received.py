"""What the log says of head office's receipts, and what a verification makes of it."""

from pathlib import Path
from typing import Any

import pytest
from tests.audit.scene import DEVICE, HASH, SIGNER, new_log, part_id, signer

from greffier.audit import receipt
from greffier.audit.receipt import Receipt
from greffier.audit.verify import verify

OFFICE = signer("siege/receipt", bytes(range(3, 35)))
OTHER = signer("siege/receipt", bytes(range(4, 36)))
ENVELOPE = "e" * 64
OPENED = {"part": part_id(1), "recording": part_id(7), "number": 0, "envelope": ENVELOPE}
SEALED = {
    "part": part_id(1), "recording": part_id(7), "number": 0, "bytes": 5, "sha256": HASH,
    "root": HASH, "commitment": HASH, "frames": 1, "end": "ended",
}  # fmt: skip
GOOD = Receipt(DEVICE, part_id(1), 5, HASH, ENVELOPE, 1_795_305_600)


def received(told: Receipt, by: Any = OFFICE) -> dict[str, Any]:
    return receipt.entry_of(receipt.read(told.signed(by), [by.log_key]))


def codes(folder: Path, rows: list[tuple[str, dict[str, Any]]], keys: Any = OFFICE) -> set[str]:
    log = new_log(folder)
    log.append("device.created", None, {"device": DEVICE, "version": "0.1.0"})
    for kind, data in rows:
        log.append(kind, None, data)
    log.commit()
    log.close()
    (folder / "keys" / "head-office.pub").write_text(keys.log_key.text + "\n")
    report = verify(folder)
    assert verify(folder, [SIGNER.log_key, keys.log_key]).problems == report.problems
    return {one.code for one in report.problems}


BEGUN = [("part.opened", OPENED), ("part.sealed", SEALED)]


def test_a_receipt_of_a_sealed_part_is_in_order(tmp_path: Path) -> None:
    assert codes(tmp_path, [*BEGUN, ("part.received", received(GOOD))]) == set()


def test_the_whole_receipt_can_be_made_again_from_the_log() -> None:
    data = GOOD.signed(OFFICE)
    assert receipt.rebuild(DEVICE, received(GOOD)) == data


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"part": part_id(2)}, "part.received_unknown"),
        ({"size": 6}, "part.received_other"),
        ({"sha256": "0" * 64}, "part.received_other"),
        ({"envelope": "0" * 64}, "part.received_other"),
        ({"device": "box-2"}, "receipt.forged"),
    ],
)
def test_a_receipt_is_about_a_part_of_this_log(
    tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    fields = {name: getattr(GOOD, name) for name in Receipt.__slots__} | change
    rows = [*BEGUN, ("part.received", received(Receipt(**fields)))]
    assert codes(tmp_path, rows) == {code}


def test_a_part_is_received_once_and_after_its_end(tmp_path: Path) -> None:
    word = ("part.received", received(GOOD))
    assert codes(tmp_path / "twice", [*BEGUN, word, word]) == {"part.received_twice"}
    early = codes(tmp_path / "early", [BEGUN[0], word, BEGUN[1]])
    assert early == {"part.received_unknown"}


def test_a_known_key_must_have_signed(tmp_path: Path) -> None:
    altered = received(GOOD) | {"at_ns": 1_795_305_601 * 10**9}
    assert codes(tmp_path / "altered", [*BEGUN, ("part.received", altered)]) == {"receipt.forged"}
    # Of a key that nobody knows any more nothing can be said.
    assert codes(tmp_path / "other", [*BEGUN, ("part.received", altered)], OTHER) == set()


def test_the_key_of_receipts_does_not_hide_what_is_wrong_with_a_checkpoint(tmp_path: Path) -> None:
    codes(tmp_path, BEGUN)
    path = tmp_path / "audit" / "checkpoint"
    text = path.read_text()
    at = len(text) - 40
    path.write_text(text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :])
    assert "checkpoint.forged" in {one.code for one in verify(tmp_path).problems}
