"""``greffier notice``: learn a prompt, and look for it in a recording."""

from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from greffier.calls.bands import Samples
from greffier.calls.fingerprint import LARGEST_FILE, SUFFIX, BadFingerprint, Fingerprint, parse
from greffier.calls.learning import HIGHEST_RATE, LONGEST_S, LOWEST_RATE, Unusable, learn
from greffier.calls.notice import BOUND_S, Detector, Template
from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import BadPrompt, UsageError
from greffier.language import translate as _

_LARGEST_WAV: Final = 1 << 30
_LONGEST_CHECK_S: Final = 4 * 3600


@click.group(help=_("Prompts: learn the spoken notice of a line, and look for it."))
def group() -> None:
    """The commands below."""


@group.command(
    "learn", help=_("Learn the notice in PROMPT, a sound file, so that it can be heard.")
)
@click.argument("prompt", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help=_("the file to write"))
@json_option
def learn_prompt(prompt: Path, output: Path | None, as_json: bool) -> int:
    """Run it. Raises BadPrompt, StorageFailed."""
    found = learnt(prompt)
    target = output or prompt.with_suffix(SUFFIX)
    if target == prompt:
        raise UsageError(reason=_("the file to write is the prompt itself"))
    Disk().write_for_folder(target, found.to_bytes())
    value = {
        "file": str(target),
        "sha256": found.digest,
        "seconds": round(found.seconds, 2),
        "segments": Template(found).count,
    }
    text = _("{file} written: {seconds} s of notice; its name in the log begins with {short}")
    answer(value, as_json, lambda: text.format(**value, short=found.digest[:12]))
    return 0


@group.command("check", help=_("Look for PROMPT (sound, or a learnt notice) in RECORDING."))
@click.argument("prompt", type=click.Path(path_type=Path))
@click.argument("recording", type=click.Path(path_type=Path))
@json_option
def check(prompt: Path, recording: Path, as_json: bool) -> int:
    """Run it: 0 when it was heard in time, 1 when not. Raises BadPrompt."""
    known = read(prompt) if prompt.suffix == SUFFIX else learnt(prompt)
    pcm, rate = sound_of(recording, _LONGEST_CHECK_S)
    value = looked_for(known, pcm, rate)
    answer(value, as_json, lambda: _said(value))
    return 0 if value["heard"] else 1


def looked_for(known: Fingerprint, pcm: Samples, rate: int) -> dict[str, Any]:
    """Whether *known* was said in *pcm*, as the command prints it."""
    detector = Detector(Template(known), rate, len(pcm) // rate + 1)
    step = 10 * rate
    found = next(
        (one for at in range(0, len(pcm), step) if (one := detector.feed(at, pcm[at : at + step]))),
        None,
    )
    found = found or detector.finish()
    return {
        "heard": found is not None and found.end <= BOUND_S * rate,
        "ends_s": None if found is None else round(found.end / rate, 2),
        "score": found.score if found else detector.score,
        "speed": None if found is None else round(found.speed, 4),
        "sha256": known.digest,
    }


def _said(value: dict[str, Any]) -> str:
    if value["heard"]:
        return _("heard: it ends at {ends_s} s (score {score} of 1000)").format(**value)
    if value["ends_s"] is not None:
        return _("too late: it ends at {ends_s} s, and a line is listened to for 60 s").format(
            **value
        )
    return _("not heard (best score {score} of 1000)").format(**value)


def learnt(path: Path) -> Fingerprint:
    """The fingerprint of the sound file *path*. Raises BadPrompt."""
    pcm, rate = sound_of(path, LONGEST_S + 1)
    try:
        return learn(pcm, rate, path.read_bytes())
    except Unusable as error:
        raise BadPrompt(path=path, reason=why(error.reason)) from error


def why(reason: str) -> str:
    """What is wrong with a recording, for a person; *reason* is a word of `learning.REASONS`."""
    return {
        "rate": _("its sample rate is below 8 kHz or above 192 kHz"),
        "file_long": _("it lasts more than ten minutes"),
        "silent": _("it is silent"),
        "clipped": _("it is clipped: too loud when it was recorded"),
        "short": _("it is shorter than three seconds"),
        "long": _("it is longer than fifty seconds"),
        "pauses": _("it consists of pauses for the most part"),
        "repeats": _("it repeats itself: a tone, a tune, or a sentence said again"),
    }[reason]


def read(path: Path) -> Fingerprint:
    """The learnt notice in *path*. Raises BadPrompt."""
    try:
        with path.open("rb") as file:
            return parse(file.read(LARGEST_FILE + 1))
    except OSError as error:
        raise BadPrompt(path=path, reason=error.strerror) from error
    except BadFingerprint as error:
        raise BadPrompt(path=path, reason=str(error)) from error


def sound_of(path: Path, longest_s: int) -> tuple[Samples, int]:
    """The sound in *path*, its channels averaged, and its rate in Hz. Raises BadPrompt."""
    try:
        if path.stat().st_size > _LARGEST_WAV:
            raise BadPrompt(path=path, reason=_("it is larger than a gibibyte"))
        with soundfile.SoundFile(path) as file:
            rate = int(file.samplerate)
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise BadPrompt(path=path, reason=why("rate"))
            channels: NDArray[np.int16] = file.read(longest_s * rate, dtype="int16", always_2d=True)
    except OSError as error:
        raise BadPrompt(path=path, reason=error.strerror) from error
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BadPrompt(path=path, reason=_("it is no sound file")) from error
    if not len(channels):
        raise BadPrompt(path=path, reason=why("silent"))
    if channels.shape[1] == 1:
        return channels[:, 0], rate
    return np.rint(channels.mean(axis=1)).astype(np.int16), rate
