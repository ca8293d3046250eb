"""A head office that holds real parts of chosen purposes, and a clock that tests set."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.office.in_process import Inside, enrol

from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.seal import envelope, keys
from greffier.seal.envelope import What
from greffier.seal.frames import Meta
from greffier.seal.keys import Role
from greffier.seal.part import PartWriter
from greffier.store import playback
from greffier.sync.messages import Have, Need
from greffier.trust import LogKey
from greffier_office import place
from greffier_office.place import Office
from greffier_office.purging import Plan, Purging
from greffier_office.stored import Holdings
from greffier_office.sweeping import Sweeping
from greffier_sim.hand_box import HandBox, Held

DAY_NS = 86_400 * 1_000_000_000
CREATED_NS = 1_795_305_600_000_000_000
QUALITY = {"quality": [0, 89]}
DUTY = {"quality": [0, 89], "insurance": [731, 761]}
EMERGENCY = {"emergency_medical": [0, 59]}


@dataclass
class Archive:
    """The office's folder, its secret key, and the boxes whose parts it holds."""

    folder: Path
    day: float = 1.0
    boxes: list[HandBox] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.office: Office = place.create(self.folder / "office", Disk(), time.time_ns())
        self.private = keys.generate(Role.OFFICE)

    def clock(self) -> int:
        return CREATED_NS + int(self.day * DAY_NS)

    def box(self) -> HandBox:
        made = HandBox(LogKey.new(f"greffier/box-{len(self.boxes):08x}"))
        enrol(self.office, made.key)
        made.say("device.created", device=device_of(made), version="0.1.0")
        self.boxes.append(made)
        return made

    def sealed(
        self,
        box: HandBox,
        purposes: dict[str, list[int]] | None,
        *,
        until: bool = False,
        created_ns: int = CREATED_NS,
    ) -> Held:
        """A real part with its entries in the log; of no *purposes*, its header is damaged."""
        part, recording = secrets.token_bytes(16), secrets.token_bytes(16)
        key = bytearray(secrets.token_bytes(32))
        block = envelope.seal(key, What.PART, part, [self.private.public])
        meta = {
            "device": device_of(box), "line": "vente", "codec": "opus", "purposes": purposes or {},
            "created_ns": str(created_ns), "epoch": "2026-11-22", "deletion": "C", "previous": None,
        }  # fmt: skip
        writer = PartWriter(
            part_id=part, recording_id=recording, number=0, meta=meta, content_key=key
        )
        content = writer.header + writer.seal(Meta({"from": "0145678901", "legs": {}}))
        end = writer.finish("end")
        octets = content + end.frame
        held = Held(part.hex(), octets if purposes is not None else b"x" + octets[1:], block)
        common = {"part": held.part, "recording": recording.hex(), "number": 0}
        hashed = hashlib.sha256(block).hexdigest()
        more = {"until_ns": CREATED_NS + 89 * DAY_NS} if until else {}
        box.say(
            "part.opened", recording.hex(), **common, envelope=hashed, created_ns=created_ns, **more
        )
        box.say(
            "part.sealed", recording.hex(), **common, bytes=len(octets), sha256=held.sha256,
            root=end.root.hex(), commitment=writer.commitment.hex(), frames=end.frames, end="end",
        )  # fmt: skip
        return held

    def inside(self) -> Inside:
        return Inside(self.office, now_ns=self.clock)

    def replicate(self, box: HandBox) -> None:
        life = self.inside()
        have = life.audit(device_of(box), box.batch())
        assert isinstance(have, Have) and have.size == len(box.log)
        life.close()

    def store(self, box: HandBox, *parts: Held) -> None:
        """Deliver them, with the log that names them."""
        self.replicate(box)
        life = self.inside()
        for held in parts:
            life.offer(device_of(box), held.offered())
            said = life.voice.told.pop()[1]
            if isinstance(said, Need):
                for payload in held.chunks():
                    life.chunk(device_of(box), payload)
                said = life.voice.told.pop()[1]
            assert isinstance(said, bytes), said
        life.close()

    def offered(self, box: HandBox, held: Held) -> object:
        """What head office says to an offer of it."""
        life = self.inside()
        life.offer(device_of(box), held.offered())
        life.close()
        return life.voice.told[-1][1]

    def purging(self, strike: Callable[[str], None] = lambda step: None) -> Purging:
        made = Purging.of(self.office, Disk(), self.clock)
        made._strike = strike
        return made

    def purge(self, strike: Callable[[str], None] = lambda step: None, **how: Any) -> Plan:
        """One round; what its plan was."""
        purging = self.purging(strike)
        try:
            plan = purging.plan(how.pop("visa", False), **({"believe": True} | how))
            purging.carry_out(plan)
            return plan
        finally:
            purging.close()

    def replay(self) -> int:
        purging = self.purging()
        try:
            return purging.replay()
        finally:
            purging.close()

    def sweep(self) -> int:
        sweeping = Sweeping.of(self.office, Disk(), self.clock)
        try:
            return sweeping.everything()
        finally:
            sweeping.close()

    def opens(self, held: Held) -> bool:
        """Whether head office, with its key, opens the part."""
        with Holdings.open(self.office, Disk()) as held_here:
            try:
                (found,) = held_here.named(held.part)
                path = held_here.write(found, self.folder)
                block = held_here.envelope(found)
                playback.open_part(path, block, self.private, unfinished=True)
            except GreffierError:
                return False
            return True

    def objects(self) -> set[str]:
        return {one.name for one in (self.office.objects / "blocks").rglob("*") if one.is_file()}

    def keys(self) -> set[str]:
        return {one.name for one in self.office.envelope_keys.rglob("*") if one.is_file()}

    def records(self) -> list[dict[str, Any]]:
        """What the file of tombstones says, read by docs/office-directory.md alone."""
        data, found = (self.office.deletions / "tombstones").read_bytes(), []
        while data:
            length = int.from_bytes(data[:4], "big")
            found.append(json.loads(data[8 : 8 + length]))
            data = data[8 + length :]
        return found


def device_of(box: HandBox) -> str:
    return box.key.name.removeprefix("greffier/")


def codes(plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """(what goes, what stays) by part."""
    return (
        {one.part: one.code for one in plan.doomed},
        {one.part: one.code for one in plan.refused},
    )
