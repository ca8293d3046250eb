"""What head office holds, by its commands: listed, opened, verified, and every alteration named."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.office.in_process import Inside, enrol

from greffier.audit.receipt import Receipt
from greffier.cli.main import run
from greffier.durable import Disk
from greffier.seal import envelope, keys
from greffier.seal.envelope import What
from greffier.seal.frames import Meta
from greffier.seal.keys import PrivateKey, Role
from greffier.seal.part import PartWriter
from greffier.sync.messages import Need
from greffier.trust import LogKey
from greffier_office import checking, place
from greffier_office.checking import Checking
from greffier_office.main import COMMANDS
from greffier_office.stored import Holdings
from greffier_sim.hand_box import HandBox, Held

DEVICE = "box-1a2b3c4d"
UID = f"{DEVICE}/vente/0000000001"


@dataclass
class Scene:
    """A head office that holds a recording of two parts, and a call that was not recorded."""

    folder: Path
    inside: Inside
    box: HandBox
    parts: list[Held]
    recording: str

    @property
    def office(self) -> Path:
        return self.folder / "office"

    @property
    def key(self) -> Path:
        return self.folder / "office.key"


def sealed(box: HandBox, private: PrivateKey, recording: str, number: int) -> Held:
    """A real part, with its entries in the log."""
    part, key = secrets.token_bytes(16), bytearray(secrets.token_bytes(32))
    block = envelope.seal(key, What.PART, part, [private.public])
    meta = {
        "device": DEVICE, "line": "vente", "codec": "opus", "created_ns": "1795305600000000000",
        "purposes": {"quality": [0, 180]}, "epoch": "2026-11-22", "deletion": "C",
        "previous": None,
    }  # fmt: skip
    writer = PartWriter(
        part_id=part, recording_id=bytes.fromhex(recording), number=number, meta=meta,
        content_key=key,
    )  # fmt: skip
    content = writer.header + writer.seal(
        Meta({"from": "0145678901", "to": "reception", "call_id": "x@y", "legs": {}})
    )
    end = writer.finish("end")
    held = Held(part.hex(), content + end.frame, block)
    common = {"part": held.part, "recording": recording, "number": number}
    hashed = hashlib.sha256(block).hexdigest()
    box.say("part.opened", recording, **common, uid=UID, line="vente", envelope=hashed)
    box.say(
        "part.sealed", recording, **common, bytes=len(held.octets), sha256=held.sha256,
        root=end.root.hex(), commitment=writer.commitment.hex(), frames=end.frames, end="end",
    )  # fmt: skip
    return held


def deliver(inside: Inside, held: Held) -> None:
    inside.offer(DEVICE, held.offered())
    device, need = inside.voice.told.pop()
    assert (device, isinstance(need, Need)) == (DEVICE, True)
    for payload in held.chunks():
        inside.chunk(DEVICE, payload)
    assert isinstance(inside.voice.told[-1][1], bytes)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    private = keys.generate(Role.OFFICE)
    (tmp_path / "office.key").write_text(private.format())
    office = place.create(tmp_path / "office", Disk(), time.time_ns())
    inside = Inside(office)
    box = HandBox(LogKey.new(f"greffier/{DEVICE}"))
    enrol(office, box.key)
    recording = secrets.token_hex(16)
    box.say("device.created", device=DEVICE, version="0.1.0")
    decided = {"line": "vente", "call": "0" * 64, "policy": "magasin", "policy_version": 3}
    box.say(
        "call.decided", uid=UID, record="seg", codes=["SAMPLED_IN"], recording=recording,
        at_ns=1_795_305_600_000_000_000, **decided,
    )  # fmt: skip
    other = UID.replace("1", "2")
    box.say("call.decided", uid=other, record="none", codes=["SAMPLED_OUT"], **decided)
    parts = [sealed(box, private, recording, number) for number in range(2)]
    box.say("call.ended", uid=UID, result="ok", recording=recording)
    assert inside.audit(DEVICE, box.batch())
    for part in parts:
        deliver(inside, part)
    yield Scene(tmp_path, inside, box, parts, recording)
    inside.close()


class Said:
    """How a command of head office ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: object) -> None:
        capsys.readouterr()
        self.code = run("greffier-office", COMMANDS, [str(word) for word in words], "test")
        self.out, self.err = capsys.readouterr()

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


def test_calls_are_listed_with_what_is_known(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Said(capsys, "calls", "--office", scene.office, "--json")
    assert said.code == 0
    first, second = said.json["calls"]
    assert (first["result"], first["record"], first["codes"]) == ("ok", "seg", ["SAMPLED_IN"])
    assert (first["from"], first["recording"]) == (None, scene.recording)
    assert [one["stored"] for one in first["parts"]] == [True, True]
    assert first["parts"][0]["max_until"].startswith("2027-05-")
    assert (second["record"], second["parts"]) == ("none", [])
    said = Said(capsys, "calls", "--office", scene.office, "--key", scene.key, "--json")
    assert said.json["calls"][0]["from"] == "0145678901"
    said = Said(capsys, "calls", "--office", scene.office, "--device", "box-00", "--json")
    assert said.json["calls"] == []
    assert "SAMPLED_OUT" in Said(capsys, "calls", "--office", scene.office).out


def test_a_part_and_a_recording_open_by_their_ids(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--office", scene.office, "--key", scene.key, "--json")
    said = Said(capsys, "open", scene.parts[1].part, *where)
    assert (said.code, said.json["number"], said.json["about"]["to"]) == (0, 1, "reception")
    said = Said(capsys, "open", scene.recording, *where)
    assert [one["part"] for one in said.json["parts"]] == [one.part for one in scene.parts]
    assert Said(capsys, "open", "0" * 32, *where).code == 1
    (scene.folder / "x").write_bytes(b"x")
    wrong = (*where, "--envelope", scene.folder / "x")
    assert Said(capsys, "open", scene.recording, *wrong).code == 2
    other = scene.folder / "other.key"
    other.write_text(keys.generate(Role.OFFICE).format())
    said = Said(capsys, "open", scene.recording, "--office", scene.office, "--key", other)
    assert said.code == 12
    found = Said(capsys, "accesses", "--office", scene.office, "--json").json["accesses"]
    assert [one["target"] for one in found[:2]] == [scene.parts[1].part, scene.recording]
    assert [one["outcome"] for one in found[2:]] == ["asked", "NotHeld", "asked", "KeyDoesNotOpen"]


def test_an_altered_object_does_not_open(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    flip(object_of(scene, scene.parts[0]))
    said = Said(capsys, "open", scene.parts[0].part, "--office", scene.office, "--key", scene.key)
    assert said.code == 20


def object_of(scene: Scene, held: Held) -> Path:
    name = held.blocks[0]
    return scene.office / "objects" / "blocks" / name[:2] / name


def batch_of(scene: Scene) -> Path:
    (row,) = scene.inside.rows.batches(DEVICE, 0, 1)
    return scene.office / "objects" / row.object


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def verified(scene: Scene, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, set[str]]:
    said = Said(capsys, "verify", "--office", scene.office, "--json")
    value = said.json
    assert value["ok"] == (said.code == 0) == all(one["ok"] for one in value["checks"])
    bad = {one["name"] for one in value["checks"] if not one["ok"]}
    text = Said(capsys, "verify", "--office", scene.office)
    assert (text.code, len(text.out.splitlines()) > 6) == (said.code, True)
    return said.code, value["state"], bad


def test_what_is_whole_is_authentic(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(scene, capsys) == (0, "authentic", set())
    assert Said(capsys, "verify", "bundle.zip").code == 2
    assert Said(capsys, "verify").code == 2


def test_what_arrives_meanwhile_alters_nothing(scene: Scene) -> None:
    """Head office collects while its holdings are verified."""
    office = scene.inside.office
    with Holdings.open(office, Disk()) as held:
        private = keys.read_private(scene.key, Role.OFFICE)
        later = sealed(scene.box, private, "ab" * 16, 0)
        assert scene.inside.audit(DEVICE, scene.box.batch())
        deliver(scene.inside, later)
        checks = Checking(held, office.public_keys()).run()
    assert checking.state_of(checks) == "authentic"
    with Holdings.open(office, Disk()) as held:
        more = Checking(held, office.public_keys()).run()
    assert checking.state_of(more) == "authentic"
    assert [one.count for one in more if one.name == "parts"] == [3]
    assert [one.count for one in checks if one.name == "parts"] == [2]


def test_every_alteration_is_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    altered = (20, "altered")
    held = scene.parts[0]
    kept = object_of(scene, held).read_bytes()
    flip(object_of(scene, held))
    assert verified(scene, capsys) == (*altered, {"parts"})
    object_of(scene, held).write_bytes(kept)
    flip(batch_of(scene))
    code, state, bad = verified(scene, capsys)
    assert (code, state) == altered and "logs" in bad
    flip(batch_of(scene))
    db, envelopes = scene.inside.rows.db, scene.inside.envelopes.db
    block = envelopes.execute("SELECT block FROM envelopes WHERE part = ?", (held.part,)).fetchone()
    envelopes.execute("UPDATE envelopes SET block = x'00' WHERE part = ?", (held.part,))
    assert verified(scene, capsys) == (*altered, {"envelopes"})
    envelopes.execute("UPDATE envelopes SET block = ? WHERE part = ?", (block[0], held.part))
    row = db.execute("SELECT receipt FROM parts WHERE part = ?", (held.part,)).fetchone()
    for change in (f"{held.part}\nbytes 9", f"{held.part}\nbytes 8"):
        text = row[0].replace(f"{held.part}\nbytes ", change)
        db.execute("UPDATE parts SET receipt = ? WHERE part = ?", (text, held.part))
        assert verified(scene, capsys) == (*altered, {"receipts"})
    other = Receipt(DEVICE, held.part, 7, held.sha256, "0" * 64, 0)
    text = other.signed(scene.inside.office.receipt_signer()).decode()
    db.execute("UPDATE parts SET receipt = ? WHERE part = ?", (text, held.part))
    assert verified(scene, capsys) == (*altered, {"receipts"})
    db.execute("UPDATE parts SET receipt = ? WHERE part = ?", (row[0], held.part))
    db.execute("UPDATE logs SET head = replace(head, 'greffier', 'griffier')")
    code, state, bad = verified(scene, capsys)
    assert (code, state, bad) == (*altered, {"logs"})


def test_what_is_missing_is_named_and_nobody_can_tell(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = (3, "cannot_tell")
    held = scene.parts[0]
    kept = object_of(scene, held).read_bytes()
    object_of(scene, held).unlink()
    assert verified(scene, capsys) == (*missing, {"parts"})
    object_of(scene, held).write_bytes(kept)
    assert verified(scene, capsys) == (0, "authentic", set())
    scene.inside.envelopes.db.execute("DELETE FROM envelopes WHERE part = ?", (held.part,))
    assert verified(scene, capsys) == (*missing, {"envelopes"})
    batch_of(scene).unlink()
    code, state, bad = verified(scene, capsys)
    assert (code, state) == missing and {"logs", "cosignatures", "parts"} <= bad


def test_the_fleet_says_what_is_wrong(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "fleet", "--office", scene.office, "--json")
    (box,) = said.json["boxes"]
    assert (box["device"], box["stored"], box["waiting"]) == (DEVICE, 2, 0)
    assert box["log_size"] == box["cosigned_size"] == len(scene.box.log)
    assert box["alarms"] == ["silent"] and box["forks"] == []
    other = HandBox(scene.box.key, scene.box.log[:-1])
    other.say("recorder.stopped", reason="other")
    scene.inside.audit(DEVICE, other.batch())
    (box,) = Said(capsys, "fleet", "--office", scene.office, "--json").json["boxes"]
    assert "fork" in box["alarms"] and [one["times"] for one in box["forks"]] == [1]
    assert DEVICE in Said(capsys, "fleet", "--office", scene.office).out
