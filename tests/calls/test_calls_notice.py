"""A prompt is found again through what a line does to it, and nothing else is taken for it."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from greffier.calls import learning
from greffier.calls.bands import Bands
from greffier.calls.fingerprint import BadFingerprint, Fingerprint, is_name, parse
from greffier.calls.notice import BOUND_S, Detector, Heard, Template
from greffier.encode.resample import resample

VECTORS = Path(__file__).parents[1] / "vectors" / "calls"
KNOWN = json.loads((VECTORS / "notices.json").read_text())
RATE = 8000
Samples = NDArray[np.int16]


def vector_prompt() -> Samples:
    spec = spec_from_file_location("generate_notices", VECTORS / "generate_notices.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: Samples = module.prompt()
    return found


def babble(seed: int, seconds: float) -> NDArray[np.float64]:
    """Something like speech: a voice whose two formants, pitch and loudness change by syllables."""
    rng = np.random.default_rng(seed)
    out: list[NDArray[np.float64]] = []
    while sum(map(len, out)) < seconds * RATE:
        n = int(rng.uniform(0.06, 0.22) * RATE)
        at = np.arange(n) / RATE
        pitch = rng.uniform(90, 220)
        formants = rng.uniform((300, 900), (850, 2600))
        harmonics = np.arange(1, int(3600 / pitch)) * pitch
        gain = sum(np.exp(-(((harmonics - f) / 160) ** 2)) for f in formants) + 0.02
        voiced = (gain[:, None] * np.sin(2 * np.pi * harmonics[:, None] * at)).sum(axis=0)
        sound = voiced if rng.random() < 0.8 else rng.standard_normal(n)
        out.append(sound / np.sqrt(np.square(sound).mean()) * rng.choice([0.05, 0.6, 1, 1.4]))
    made = np.concatenate(out)[: int(seconds * RATE)]
    return made / np.sqrt(np.square(made).mean()) * 2600


def pcm(sound: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def listened(
    template: Template, line: NDArray[np.float64], *, step: int = 160, start: int = 0
) -> tuple[Detector, Heard | None]:
    detector = Detector(template, RATE)
    sound = pcm(line)
    for at in range(0, len(sound), step):
        found = detector.feed(start + at, sound[at : at + step])
        if found is not None:
            return detector, found
    return detector, detector.finish()


@pytest.fixture(scope="module")
def prompt() -> NDArray[np.float64]:
    return babble(1, 7)


@pytest.fixture(scope="module")
def template(prompt: NDArray[np.float64]) -> Template:
    return Template(learning.learn(pcm(prompt), RATE, b"prompt"))


@pytest.mark.parametrize("case", KNOWN["refused"], ids=lambda one: one["reason"])
def test_a_file_that_is_no_fingerprint_is_refused_with_its_reason(case: dict[str, str]) -> None:
    with pytest.raises(BadFingerprint, match=f"^{case['reason']}$"):
        parse(case["file"].encode())


def test_a_file_that_is_too_long_is_refused() -> None:
    whole = json.loads(KNOWN["whole"])
    for levels, frames in (("A" * 65536, 150), ("A" * 53355 + "=", 2501)):
        text = json.dumps({**whole, "levels": levels, "frames": frames}, separators=(",", ":"))
        with pytest.raises(BadFingerprint, match=r"longer than 64 KiB|more than 2500"):
            parse(text.encode())


def test_a_whole_file_comes_back_as_it_was() -> None:
    found = parse(KNOWN["whole"].encode())
    assert found.to_bytes() == KNOWN["whole"].encode()
    assert found.digest == KNOWN["digest"]
    assert found.seconds == 3.0


def test_learning_agrees_with_the_formulas_of_the_format() -> None:
    wanted = parse(KNOWN["whole"].encode()).levels.astype(int)
    frames = Bands(RATE).frames_of(vector_prompt())
    levels = np.rint(frames * (255 / frames.max())).astype(int)
    assert levels.shape == wanted.shape
    assert np.abs(levels - wanted).max() <= 1
    assert np.abs(levels[:4] - np.array(KNOWN["prompt"]["first"])).max() <= 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_fingerprint_or_refused(data: bytes) -> None:
    with pytest.raises(BadFingerprint):
        parse(data)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("A-FR-QUAL-1", True),
        ("a", True),
        ("accueil.v2", True),
        ("", False),
        ("..", False),
        (".x", False),
        ("a/b", False),
        ("a\n", False),
        ("x" * 65, False),
        ("é", False),
    ],
)
def test_a_name_leads_nowhere_else(name: str, good: bool) -> None:
    assert is_name(name) is good


def test_a_prompt_is_heard_where_it_ends(prompt: NDArray[np.float64], template: Template) -> None:
    line = np.concatenate((babble(2, 3.7), prompt, babble(3, 4)))
    _, found = listened(template, line, start=48_000)
    assert found is not None
    end = 48_000 + int(10.7 * RATE)
    assert abs(found.end - end) <= RATE // 20
    assert found.score >= 950
    assert abs(found.speed - 1) < 0.01


def test_how_the_sound_is_cut_up_does_not_matter(
    prompt: NDArray[np.float64], template: Template
) -> None:
    line = np.concatenate((babble(4, 2.03), prompt, babble(5, 2)))
    found = {listened(template, line, step=step)[1] for step in (37, 160, 8000, len(line))}
    assert len(found) == 1
    assert None not in found


@pytest.mark.parametrize("gain_db", [-12, 12])
@pytest.mark.parametrize("speed", [0.98, 1.02])
@pytest.mark.parametrize("cut", ["beginning", "end", "middle"])
def test_level_noise_speed_and_a_missing_third_do_not_hide_it(
    prompt: NDArray[np.float64], template: Template, gain_db: float, speed: float, cut: str
) -> None:
    length = int(len(prompt) * speed)
    said = np.interp(np.arange(length) / speed, np.arange(len(prompt)), prompt)
    said *= 10 ** (gain_db / 20)
    third = int(0.3 * length)
    before, behind = np.zeros(2 * RATE), np.zeros(3 * RATE)
    if cut == "beginning":
        said = said[third:]
    elif cut == "end":
        said, behind = said[:-third], np.zeros(3 * RATE + third)
    else:
        said[length // 3 : length // 3 + third] = 0
    line = np.concatenate((before, said, behind))
    rng = np.random.default_rng(6)
    noise = np.sqrt(np.square(said).mean()) * 10 ** (-15 / 20)
    _, found = listened(template, line + rng.standard_normal(len(line)) * noise)
    assert found is not None
    assert abs(found.end - (len(line) - 3 * RATE)) <= RATE // 10


def test_the_same_voice_saying_something_else_is_not_taken_for_it(template: Template) -> None:
    for seed in range(10, 16):
        detector, found = listened(template, babble(seed, 20))
        assert found is None
        assert detector.score < 400


def test_half_of_it_is_not_enough(prompt: NDArray[np.float64], template: Template) -> None:
    line = np.concatenate((babble(20, 2), prompt[: len(prompt) // 2], babble(21, 8)))
    assert listened(template, line)[1] is None


def test_silence_a_tone_and_nothing_at_all_are_not_taken_for_it(template: Template) -> None:
    at = np.arange(20 * RATE) / RATE
    for line in (np.zeros(20 * RATE), 5000 * np.sin(2 * np.pi * 440 * at), np.zeros(0)):
        assert listened(template, line)[1] is None


def test_what_is_missing_on_the_line_counts_as_silence_of_its_length(
    prompt: NDArray[np.float64], template: Template
) -> None:
    detector = Detector(template, RATE)
    sound = pcm(np.concatenate((prompt, np.zeros(2 * RATE))))
    hole = range(RATE, 2 * RATE)
    found = None
    for at in range(0, len(sound), 160):
        if at not in hole:
            found = found or detector.feed(at, sound[at : at + 160])
    assert found is not None
    assert abs(found.end - len(prompt)) <= RATE // 20


def test_sound_that_comes_twice_is_taken_once(
    prompt: NDArray[np.float64], template: Template
) -> None:
    detector = Detector(template, RATE)
    sound = pcm(np.concatenate((prompt, np.zeros(2 * RATE))))
    found = None
    for at in range(0, len(sound), 800):
        found = found or detector.feed(max(at - 400, 0), sound[max(at - 400, 0) : at + 800])
    assert found is not None
    assert abs(found.end - len(prompt)) <= RATE // 20


def test_a_line_is_listened_to_for_a_minute_and_no_longer(
    prompt: NDArray[np.float64], template: Template
) -> None:
    late = np.concatenate((np.zeros(BOUND_S * RATE - len(prompt) // 2), prompt))
    detector, found = listened(template, late)
    assert found is None
    assert detector.over
    assert detector.feed(10**9, pcm(prompt)) is None
    in_time = np.concatenate((np.zeros(BOUND_S * RATE - len(prompt) - 800), prompt, prompt))
    assert listened(template, in_time)[1] is not None


def test_a_hole_of_hours_costs_no_memory(template: Template) -> None:
    detector = Detector(template, RATE)
    detector.feed(0, np.zeros(160, np.int16))
    assert detector.feed(10**12, np.ones(160, np.int16)) is None
    assert detector.over


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_line_of_another_rate_hears_it_too(
    prompt: NDArray[np.float64], template: Template, rate: int
) -> None:
    line = resample(pcm(np.concatenate((np.zeros(RATE), prompt, np.zeros(2 * RATE)))), RATE, rate)
    detector = Detector(template, rate)
    found = None
    for at in range(0, len(line), rate // 50):
        found = found or detector.feed(at, line[at : at + rate // 50])
    found = found or detector.finish()
    assert found is not None
    assert abs(found.end / rate - 8) < 0.06


@pytest.mark.parametrize(
    ("reason", "sound", "rate"),
    [
        ("silent", np.zeros(5 * RATE), RATE),
        ("silent", np.zeros(0), RATE),
        ("silent", babble(1, 5) / 3000, RATE),
        ("short", babble(1, 2.9), RATE),
        ("short", np.concatenate((np.zeros(5 * RATE), babble(1, 2), np.zeros(5 * RATE))), RATE),
        ("long", babble(1, 50.2), RATE),
        ("clipped", babble(1, 5) * 30, RATE),
        ("rate", babble(1, 5), 7999),
        ("rate", babble(1, 5), 192_001),
        ("file_long", np.zeros(601 * RATE), RATE),
        ("repeats", np.tile(babble(1, 2), 4), RATE),
        ("repeats", 9000 * np.sin(np.arange(6 * RATE) * 0.3), RATE),
    ],
)
def test_a_recording_that_could_not_be_found_again_is_refused(
    reason: str, sound: NDArray[np.float64], rate: int
) -> None:
    assert reason in learning.REASONS
    with pytest.raises(learning.Unusable, match=f"^{reason}$"):
        learning.learn(pcm(sound), rate, b"")


def test_pauses_for_the_most_part_are_no_prompt() -> None:
    said = np.concatenate((babble(1, 1.5), np.zeros(12 * RATE), babble(2, 1.5)))
    with pytest.raises(learning.Unusable, match=r"^pauses$"):
        learning.learn(pcm(said), RATE, b"")


def test_silence_around_a_prompt_is_no_part_of_it(prompt: NDArray[np.float64]) -> None:
    quiet = np.random.default_rng(1).standard_normal(2 * RATE) * 5
    bare = learning.learn(pcm(prompt), RATE, b"")
    padded = learning.learn(pcm(np.concatenate((quiet, prompt, quiet))), RATE, b"")
    assert isinstance(bare, Fingerprint)
    assert abs(padded.seconds - bare.seconds) <= 0.04


def test_a_prompt_that_the_end_of_the_sound_cut_off_is_heard_all_the_same(
    prompt: NDArray[np.float64], template: Template
) -> None:
    line = np.concatenate((np.zeros(2 * RATE), prompt[: int(0.72 * len(prompt))]))
    detector, found = listened(template, line)
    assert found is not None
    assert abs(found.end - 9 * RATE) <= RATE // 20
    assert detector.finish() is None
