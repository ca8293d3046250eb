"""A sound card for tests and demonstrations: builds the ALSA plugin, writes its configuration.

``faketap/`` holds an external I/O plugin of libasound. It is a clock that makes samples: nothing is
played, nothing is stored, and what frame N holds depends on N alone, so that hours of audio can be
checked without a file. One :class:`Tap` is one PCM of that name, and a mixer of the same name with
the element ``Line``. Everything is a function of CLOCK_MONOTONIC since the epoch of the
configuration: the same faults come at the same frames whoever opens the card, and however often.

- ``speed`` 1..100: how many times faster than real time the card captures;
- ``drift_ppm``: how much faster than its nominal rate its quartz is;
- ``overruns`` (frame, frames lost): one -EPIPE at that frame of the card;
- ``absences`` (frame, seconds of the card's time): pulled out and put back. Whoever holds it gets
  ENODEV for ever (``gone_as`` "nodev") or overruns without end ("overruns");
- ``source``: a raw file (S16_LE, interleaved) instead of the pattern; silence after its end.

    folder = Path("/run/x")
    card = faketap.configure(folder, [faketap.Tap("line0", speed=10.0, overruns=((8000, 400),))])
    subprocess.run(["arecord", "-D", "line0", ...], env=os.environ | card.environment)
"""

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SOURCES = Path(__file__).parent / "faketap"
ALSA_CONF = Path("/usr/share/alsa/alsa.conf")
MIXER_ELEMENT = "Line"
FAULTS = 512
"""Of each kind and card at most."""
SEARCH_FRAMES = 1 << 18


class NotBuilt(RuntimeError):
    """The plugin cannot be built here: a compiler or libasound2-dev is missing."""


@dataclass(frozen=True, slots=True)
class Tap:
    """One simulated card. Faults are ascending and apart, at most 512 of a kind."""

    name: str
    rate: int = 8000
    channels: int = 1
    speed: float = 1.0
    drift_ppm: float = 0.0
    seed: int = 0
    overruns: tuple[tuple[int, int], ...] = ()
    absences: tuple[tuple[int, float], ...] = ()
    gone_as: Literal["nodev", "overruns"] = "nodev"
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file for ``ALSA_CONFIG_PATH``, and the monotonic time of every card's frame 0."""

    path: Path
    epoch_ns: int

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to see these cards (and no others)."""
        return {"ALSA_CONFIG_PATH": str(self.path)}


def build(folder: Path | None = None) -> Path:
    """The plugin, compiled into *folder* (by default the user's cache) unless it is there already.

    Raises NotBuilt.
    """
    if folder is None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache) / "greffier_sim"
    files = sorted(SOURCES.glob("*.[ch]"))
    state = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    target = folder / f"libfaketap-{state}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    words = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-DPIC"]
    with tempfile.TemporaryDirectory(dir=folder) as made:  # renamed: others may build it as well
        plugin = Path(made) / target.name
        sources = [str(path) for path in files if path.suffix == ".c"]
        try:
            done = subprocess.run(
                [*words, "-o", str(plugin), *sources, "-lasound", "-lm"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise NotBuilt("gcc is missing: apt-get install gcc libasound2-dev") from None
        if done.returncode != 0:
            raise NotBuilt(f"the ALSA plugin was not built: {done.stderr.strip()}")
        plugin.rename(target)
    return target


def _definition(tap: Tap, folder: Path, epoch_ns: int) -> str:
    overruns = " ".join(f"{at}:{frames}" for at, frames in tap.overruns)
    absences = " ".join(f"{at}:{round(seconds * tap.rate)}" for at, seconds in tap.absences)
    source = f'\n  source "{tap.source.resolve()}"' if tap.source else ""
    return f"""pcm.{tap.name} {{
  type faketap
  rate {tap.rate}
  channels {tap.channels}
  speed {tap.speed:.6f}
  drift_ppm {tap.drift_ppm:.6f}
  epoch_ns "{epoch_ns}"
  seed {tap.seed}
  overruns "{overruns}"
  absences "{absences}"
  gone_as "{tap.gone_as}"{source}
}}
ctl.{tap.name} {{
  type faketap
  store "{folder / tap.name}.volume"
}}
"""


def configure(
    folder: Path, taps: Sequence[Tap], *, plugin: Path | None = None, epoch_ns: int | None = None
) -> Configuration:
    """Write ``folder/asound.conf`` with *taps*; frame 0 is now, unless *epoch_ns* says otherwise.

    Raises NotBuilt.
    """
    library = (plugin or build()).resolve()
    epoch = time.monotonic_ns() if epoch_ns is None else epoch_ns
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # ALSA_CONFIG_PATH replaces the whole configuration, so the distribution's is included.
    lines = [f"<{ALSA_CONF}>", f'pcm_type.faketap {{ lib "{library}" }}']
    lines += [f'ctl_type.faketap {{ lib "{library}" }}']
    lines += [_definition(tap, folder, epoch) for tap in taps]
    path = folder / "asound.conf"
    path.write_text("\n".join(lines), "utf-8")
    return Configuration(path, epoch)


def pattern(first: int, frames: int, channels: int = 1, seed: int = 0) -> NDArray[np.int16]:
    """Frames [first, first + frames) of a card, shape (frames, channels).

    The same as ``pattern`` in faketap/card.c; a change of one is a change of both.
    """
    return _pattern(first, frames, np.arange(channels, dtype=np.uint32), seed)


def channel_pattern(first: int, frames: int, channel: int, seed: int = 0) -> NDArray[np.int16]:
    """One channel of :func:`pattern`, shape (frames,)."""
    return _pattern(first, frames, np.array([channel], np.uint32), seed)[:, 0]


def _pattern(first: int, frames: int, of: NDArray[np.uint32], seed: int) -> NDArray[np.int16]:
    index = np.arange(first, first + frames, dtype=np.uint64)
    with np.errstate(over="ignore"):
        x = index.astype(np.uint32) * np.uint32(2654435761)
        x += (index >> np.uint64(32)).astype(np.uint32) * np.uint32(2246822519)
        of = of * np.uint32(3266489917)
        x = x[:, None] + (of + np.uint32(seed * 668265263 & 0xFFFFFFFF))[None, :]
        x ^= x >> np.uint32(15)
        x *= np.uint32(2246822507)
        x ^= x >> np.uint32(13)
        x *= np.uint32(3266489909)
    return (x >> np.uint32(16)).astype(np.uint16).view(np.int16)


def locate(samples: NDArray[np.int16], near: int, within: int, seed: int = 0) -> int | None:
    """The frame of the card at which *samples*, shape (frames, channels), begin.

    Looked for in [near - within, near + within]; None if it is not there. At least eight samples
    are wanted, or chance will find some.
    """
    frames, channels = samples.shape
    for start in range(max(0, near - within), near + within + 1, SEARCH_FRAMES):
        stop = min(start + SEARCH_FRAMES, near + within + 1)
        first = pattern(start, stop - start, 1, seed)[:, 0]
        for offset in np.flatnonzero(first == samples[0, 0]):
            at = start + int(offset)
            if np.array_equal(pattern(at, frames, channels, seed), samples):
                return at
    return None
