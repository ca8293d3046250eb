"""`greffier notice`: what it learns, what it refuses, and what it finds."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from greffier.calls.fingerprint import parse
from greffier.cli.main import COMMANDS, run

RATE = 8000


def speech(seed: int, seconds: float) -> NDArray[np.int16]:
    """Noise whose colour and loudness change by syllables."""
    rng = np.random.default_rng(seed)
    out: list[NDArray[np.float64]] = []
    while sum(map(len, out)) < seconds * RATE:
        n = int(rng.uniform(0.06, 0.22) * RATE)
        spectrum = np.fft.rfft(rng.standard_normal(n))
        hertz = np.arange(len(spectrum)) * RATE / n
        shape = np.exp(-(((hertz - rng.uniform(300, 2800)) / 250) ** 2)) + 0.02
        out.append(np.fft.irfft(spectrum * shape, n) * rng.uniform(0.1, 1))
    made = np.concatenate(out)[: int(seconds * RATE)]
    return np.asarray(made / np.abs(made).max() * 12_000, np.int16)


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    path = tmp_path / "A-FR-QUAL-1.wav"
    soundfile.write(path, speech(1, 5), RATE)
    return path


def main(words: list[str]) -> int:
    return run("greffier", COMMANDS, words, "0")


def asked(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, object]]:
    code = main(["notice", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_learn_writes_the_notice_beside_the_prompt(
    prompt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, value = asked(capsys, "learn", prompt)
    written = prompt.with_suffix(".notice")
    known = parse(written.read_bytes())
    assert code == 0
    assert value["file"] == str(written)
    assert value["sha256"] == known.digest
    assert abs(known.seconds - 5) < 0.1


def test_check_finds_the_prompt_by_its_sound_or_by_what_was_learnt(
    prompt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt = tmp_path / "learnt.notice"
    assert asked(capsys, "learn", prompt, "--output", learnt)[0] == 0
    line = np.concatenate((speech(2, 4), speech(1, 5), speech(3, 3)))
    soundfile.write(tmp_path / "call.flac", np.stack((line, line), axis=1), RATE)
    soundfile.write(tmp_path / "other.wav", speech(4, 12), RATE)
    for known in (prompt, learnt):
        code, value = asked(capsys, "check", known, tmp_path / "call.flac")
        assert (code, value["heard"]) == (0, True)
        assert value["ends_s"] == pytest.approx(9, abs=0.06)
        code, value = asked(capsys, "check", known, tmp_path / "other.wav")
        assert (code, value["heard"], value["ends_s"]) == (1, False, None)


def test_a_prompt_that_comes_after_the_minute_is_too_late(
    prompt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = np.concatenate((np.zeros(58 * RATE, np.int16), speech(1, 5)))
    soundfile.write(tmp_path / "late.wav", late, RATE)
    code, value = asked(capsys, "check", prompt, tmp_path / "late.wav")
    assert (code, value["heard"]) == (1, False)
    assert value["ends_s"] == pytest.approx(63, abs=0.06)


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (np.zeros(5 * RATE, np.int16), "silent"),
        (speech(1, 2), "three seconds"),
        (np.clip(speech(1, 5).astype(int) * 30, -32768, 32767).astype(np.int16), "clipped"),
        (np.tile(speech(1, 2), 4), "repeats"),
    ],
)
def test_an_unusable_prompt_is_refused_in_one_line(
    sound: NDArray[np.int16], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompt.wav"
    soundfile.write(path, sound, RATE)
    assert main(["--lang", "en", "notice", "learn", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert why in said.err
    assert not path.with_suffix(".notice").exists()


def test_files_that_are_no_sound_and_no_notice_are_refused(
    prompt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.notice"
    text.write_text("{}")
    for words in (
        ("learn", tmp_path / "missing.wav"),
        ("learn", tmp_path),
        ("learn", text),
        ("check", text, prompt),
        ("check", tmp_path / "missing.notice", prompt),
        ("check", prompt, text),
        ("learn", prompt, "--output", prompt),
    ):
        assert main(["notice", *map(str, words)]) == 2, words
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert soundfile.info(prompt).frames == 5 * RATE


def test_a_low_rate_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "low.wav"
    soundfile.write(path, speech(1, 5), 6000)
    assert main(["--lang", "en", "notice", "learn", str(path)]) == 2
    assert "sample rate" in capsys.readouterr().err
