"""Parts that a stranger made: whoever has the public key can, and sends them to be opened."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import PAIR, Said, command

from greffier.encode import Coded
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier.seal.frames import FrameType, Meta, audio_bytes
from greffier.seal.part import PartWriter

STORED = {
    "kind": "original",
    "rate": 8000,
    "codecs": {"8": {"name": "PCMA", "clock": 8000, "channels": 1}},
}
LOUD = {**STORED, "rate": 768_000}
SLOW = {**STORED, "rate": 1}


def opened(folder: Path, about: dict[str, Any], *sounds: tuple[int, int]) -> Said:
    """Open a part with *about* and 160 samples at each (leg, position)."""
    key, path, wav = folder / "key", folder / "part.gpart", folder / "out.wav"
    key.write_text(PAIR.format())
    content_key, part = bytes(range(32)), os.urandom(16)
    block = envelope.seal(content_key, What.PART, part, [PAIR.public])
    writer = PartWriter(
        part_id=part,
        recording_id=bytes(16),
        number=0,
        meta={},
        content_key=content_key,
        envelopes=block,
    )
    content = writer.header + writer.seal(Meta(about))
    for leg, position in sounds:
        one = Coded(position, 160, 0, 8, 0, b"\x55" * 160)
        content += writer.seal_frame(FrameType.AUDIO, leg, audio_bytes(position, 160, [one]))
    path.write_bytes(content + writer.finish("end").frame)
    said = command("open", path, "--key", key, "-o", wav, "--json", program="greffier-office")
    assert (said.code == 0) == wav.exists()
    return said


@pytest.mark.parametrize(
    "about",
    [
        {"legs": [1]},
        {"legs": None},
        {"legs": {"x": {"stored": STORED}}},
        {"legs": {"²": {"stored": STORED}}},
        {"legs": {"01": {"stored": STORED}}},
        {"legs": {"255": {"stored": STORED}}},
        {"legs": {"9" * 5000: {"stored": STORED}}},
        {"legs": {"0": [1]}},
        {"legs": {"0": {}}},
        {"legs": {"0": {"stored": STORED, "source": {"a": 1}, "destination": "b", "ssrc": "c"}}},
        {"legs": {}, "origin_us": "now"},
        {"legs": {}, "origin_us": True},
        {"origin_us": [1]},
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(tmp_path: Path, about: dict[str, Any]) -> None:
    said = opened(tmp_path, about, (0, 0))
    assert said.code == 20 and said.complaint


@pytest.mark.parametrize(
    ("legs", "sounds"),
    [
        ({"0": STORED}, [(0, 0), (0, 2**50)]),
        ({"0": STORED, "1": STORED}, [(0, 0), (1, 2**50)]),
        ({"0": LOUD}, [(0, 0), (0, 768_000 * 3600 * 40)]),
        ({"0": SLOW, "1": LOUD}, [(0, 0), (0, 3600 * 20), (1, 0)]),
        ({"0": SLOW, "1": LOUD}, [(0, 2**52), (1, 0)]),
    ],
)
def test_positions_far_apart_ask_for_no_memory(
    tmp_path: Path, legs: dict[str, Any], sounds: list[tuple[int, int]]
) -> None:
    said = opened(tmp_path, {"legs": {leg: {"stored": one} for leg, one in legs.items()}}, *sounds)
    assert said.code == 1 and "more sound than a file can hold" in said.complaint


def test_a_part_that_is_ours_opens(tmp_path: Path) -> None:
    assert opened(tmp_path, {"legs": {"0": {"stored": STORED}}}, (0, 0)).code == 0
