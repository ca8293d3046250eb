"""Analogue lines, live: calls by level, an overrun, a card pulled out, a kill in the middle."""

from pathlib import Path

import numpy as np
import pytest
from tests.stories.card_box import RATE, CardBox, Samples, speech
from tests.stories.test_story_live import check_whole

from greffier.audit import coverage, verify
from greffier.audit.coverage import SECOND
from greffier.store.playback import OpenedPart
from greffier_sim import alsa_soak
from greffier_sim.heard_parts import runs

PERIOD = 160
SEEN = 24


def told_by(spans: list[tuple[float, float]], seconds: float, first: int) -> Samples:
    """One channel: loud in the *spans*, nearly silent elsewhere."""
    whole = speech(first, seconds, loud=False)
    for start, end in spans:
        at = round(start * RATE)
        whole[at : round(end * RATE)] = speech(first + at, end - start, loud=True)
    return whole


def place_of(sound: Samples, sent: Samples) -> int:
    """Where in *sent* the *sound* was."""
    for at in np.flatnonzero(sent[: len(sent) - len(sound)] == sound[0]):
        if np.array_equal(sent[at : at + SEEN], sound[:SEEN]):
            return int(at)
    raise AssertionError("this was never played")


def check_exact(parts: list[OpenedPart], sent: Samples) -> list[tuple[int, int]]:
    """Every sample is the card's; (told, true) length of every gap in the recording."""
    gaps: list[tuple[int, int]] = []
    at = frame = None
    for part in parts:
        for low, sound in runs(part.legs[0]):
            found = place_of(sound, sent)
            assert np.array_equal(sent[found : found + len(sound)], sound)
            if at is not None and frame is not None:
                gaps.append((low - at, found - frame))
            at, frame = low + len(sound), found + len(sound)
    return gaps


@pytest.mark.story
def test_two_lines_an_overrun_a_card_pulled_out_and_a_kill(tmp_path: Path) -> None:
    sent = np.stack([told_by([(4, 8)], 60, 0), told_by([(5, 40)], 60, 10_000_000)], axis=1)
    with CardBox(tmp_path, "paris-desk.toml", "desk", hang_over=15) as box:
        box.start()
        box.wait_for(lambda status: [one.name for one in status.alarms] == ["card.gone"])
        box.plug(sent, overruns=((6 * RATE, 900),), absences=((10 * RATE, 1.0),))
        box.wait_for(lambda status: not any(one.name == "card.gone" for one in status.alarms))
        assert box.volume == 24
        status = box.wait_for(
            lambda status: any(part.last_sample > 8 * RATE for part in status.committed)
        )
        box.kill()
        for part in status.committed:
            (path,) = box.data.rglob(f"{part.part}.gpart")
            assert path.stat().st_size >= part.bytes
        box.start()
        # The first line's call ends by its silence; the second one's goes on, in a new part.
        box.wait_for(
            lambda status: (
                len(status.committed) == 1 and status.committed[0].last_sample > 22 * RATE
            )
        )
        box.stop()
    first, second = box.listed()
    assert (first["end"], second["end"]) == ("silence", "running")
    for call, channel in ((first, 0), (second, 1)):
        parts = box.parts(call["recording"])
        assert len(parts) == 2
        gaps = check_exact(parts, sent[:, channel])
        # The overrun, the card's absence, and the outage, which only the wall clock measured.
        lost = gaps[:2]
        assert all(abs(told - true) <= PERIOD for told, true in lost), gaps
        assert lost[0][1] < 900 + PERIOD and RATE <= lost[1][1] <= 3 * RATE + PERIOD
        assert len(gaps) == 3
    check_whole(box)
    entries = list(verify.entries(box.data))
    summary = coverage.seconds(coverage.intervals_of(entries))
    assert {one.channel for one in summary.channels} == {"first", "second"}
    for one in summary.channels:
        assert one.states["recorded"] > 0 and one.states["off"] > 0
        assert one.states["lost"] >= SECOND


@pytest.mark.story
def test_an_hour_of_cards_through_the_recorder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "soak --through-recorder --hours 0.1 --lines 4 --cards 2 --speed 40 --call-s 120"
    monkeypatch.setattr("sys.argv", [*words.split(), "--overruns", "100", "--absences", "40"])
    assert alsa_soak.main() == 0, capsys.readouterr().out
