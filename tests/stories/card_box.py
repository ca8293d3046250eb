"""A recorder with analogue lines alone: a simulated card, and no network at all."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.stories.box import command
from tests.stories.live import Box

from greffier.clock import SystemClock
from greffier.recorder.archive import Archive
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import playback
from greffier.store.playback import OpenedPart
from greffier.store.shred_format import PART, Name
from greffier_sim import faketap
from greffier_sim.faketap import NotBuilt, Tap

RATE = 8000
CONFIG = """schema = "recorder/1"
data = "box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 300
[control]
socket = "{socket}"
"""
LINE = """[analogue.{name}]
line = "{line}"
pcm = "card"
channel = {channel}
channels = 2
hang_over_s = {hang_over}
mixer = "{mixer}"
card = "card"
gain_percent = 50
"""
Samples = NDArray[np.int16]


def speech(first: int, seconds: float, *, loud: bool) -> Samples:
    """So many seconds of one channel that no other second is like; quiet ones are one step high."""
    noise = faketap.pattern(first, round(seconds * RATE), 1, 9)[:, 0]
    return noise // 4 if loud else noise % 2


class CardBox(Box):
    """One recorder over one card of two channels, which plays *sound* (frames, channels)."""

    def __init__(self, folder: Path, policy: str, line: str, hang_over: float = 3.0) -> None:
        super().__init__(folder, "", policy, line)
        text = CONFIG.format(socket=self.socket)
        for channel, name in enumerate(("first", "second")):
            text += LINE.format(
                name=name, line=line, channel=channel, hang_over=hang_over,
                mixer=faketap.MIXER_ELEMENT,
            )  # fmt: skip
        (folder / "recorder.toml").write_text(text)

        self._configure([])

    def _configure(self, taps: list[Tap]) -> None:
        try:
            self.cards = faketap.configure(self.folder / "alsa", taps)
        except NotBuilt as error:
            pytest.skip(str(error))
        self.environment |= self.cards.environment

    def plug(
        self,
        sound: Samples,
        overruns: tuple[tuple[int, int], ...] = (),
        absences: tuple[tuple[int, float], ...] = (),
    ) -> None:
        """The card is there from now on, and plays."""
        source = self.folder / "sound.raw"
        source.write_bytes(sound.astype("<i2").tobytes())
        card = Tap("card", channels=2, source=source, overruns=overruns, absences=absences)
        self._configure([card])

    @property
    def volume(self) -> int:
        """The card's gain, 0 to 48."""
        return int.from_bytes((self.folder / "alsa/card.volume").read_bytes(), "little")

    def listed(self) -> list[dict[str, object]]:
        """The calls, by number."""
        key = ["--key", self.folder / "keys/office.key", "--json"]
        said = command("calls", "--data", self.data, *key)
        assert said.code == 0, said.err
        calls = json.loads(said.out.splitlines()[-1])["calls"]
        return sorted(calls, key=lambda call: str(call["number"]))

    def parts(self, recording: object) -> list[OpenedPart]:
        """The parts of a recording, torn ones too, in order."""
        private = keys.read_private(self.folder / "keys/office.key", Role.OFFICE)
        found = []
        with Archive.open(self.data, SystemClock()) as opened:
            for stored in opened.vault.parts():
                block = opened.shred.get(Name(PART, bytes.fromhex(stored.part_id))).block
                part = playback.open_part(stored.path, block, private, unfinished=True)
                found += [part] if part.header.recording_id.hex() == recording else []
        return sorted(found, key=lambda part: part.header.number)
