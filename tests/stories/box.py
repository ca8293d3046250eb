"""One data directory and the commands that work on it, run inside the test's process."""

import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.capture.datagram import Datagram
from greffier.cli.main import COMMANDS, run
from greffier.clock import SystemClock
from greffier.policy import packs, rules
from greffier.policy.site import Policy
from greffier.recorder import archive
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier.store import playback
from greffier.store.playback import OpenedPart
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim import packets

MS = 1_000_000
RETAIL = rules.builtin("fr-retail.toml")
DESK = rules.builtin("paris-desk.toml")
SDIS = rules.builtin("sdis18.toml")
PACKS = packs.load()
_SAMPLES = os.environ.get("GREFFIER_SAMPLES", "")
SAMPLES = Path(_SAMPLES)
needs_samples = pytest.mark.skipif(
    not (SAMPLES / "pcap").is_dir() or not _SAMPLES,
    reason="GREFFIER_SAMPLES names no folder with pcap/ and rfc4475/ (real captures)",
)
PAIR = keys.generate(Role.OFFICE)
"""Head office's key pair; making one takes time, and no test changes it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object in the last line."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def complaint(self) -> str:
        """The only line on stderr that is no progress, which is all that a failure may print."""
        lines = [line for line in self.err.splitlines() if not line.endswith(" %")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert " — " in lines[0]  # cause, then the next step
        return lines[0]


def command(*words: object, program: str = "greffier") -> Said:
    """Run a command line as the console script would."""
    table: Mapping[str, str] = OFFICE if program == "greffier-office" else COMMANDS
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(program, dict(table), [str(word) for word in words], "0")
    return Said(code, out.getvalue(), err.getvalue())


class Box:
    """A data directory below *folder*, sealed to :data:`PAIR`, whose key lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.key = folder / "office.key"
        self.key.write_text(PAIR.format())
        archive.create(self.data, SystemClock(), PAIR.public.format().encode())
        self.files = 0

    def capture(self, datagrams: Iterable[Datagram]) -> Path:
        """A capture file of *datagrams*."""
        self.files += 1
        path = self.folder / f"capture-{self.files}.pcap"
        path.write_bytes(packets.pcap(packets.frames_of(datagrams), nanoseconds=True))
        return path

    def bring(
        self,
        capture: Path | Iterable[Datagram],
        line: str = "vente",
        policy: Path = RETAIL,
        *,
        facts: str = "",
        draw: float | None = 0.0,
    ) -> Said:
        """Import a capture inside the policy's window."""
        path = capture if isinstance(capture, Path) else self.capture(capture)
        words: list[object] = ["import-pcap", path, "--policy", policy, "--data", self.data]
        words += ["--line", line, "--json", "--facts", f"window=true {facts}"]
        words += [] if draw is None else ["--draw", draw]
        return command(*words)

    def calls(self, capture: Path | Iterable[Datagram], *words: Any, **more: Any) -> Any:
        """The calls of an import that went well."""
        said = self.bring(capture, *words, **more)
        assert said.code == 0, said.err
        return said.json["calls"]

    def call(self, capture: Path | Iterable[Datagram], *words: Any, **more: Any) -> Any:
        """The only call of an import that went well."""
        (one,) = self.calls(capture, *words, **more)
        return one

    def listed(self, *words: object) -> Any:
        """What ``calls`` prints."""
        said = command("calls", "--data", self.data, "--json", *words)
        assert said.code == 0, said.err
        return said.json["calls"]

    def verified(self) -> Any:
        """What ``audit verify`` prints; the exit code says the same."""
        said = command("audit", "verify", "--data", self.data, "--json")
        found = said.json
        assert said.code == (0 if found["ok"] else 20)
        return found

    def exported(self, recording: str, *words: object, form: str = "wav") -> Path:
        """A file with the sound of *recording*."""
        self.files += 1
        path = self.folder / f"export-{self.files}.{form}"
        said = self.export(recording, path, "--format", form, *words)
        assert said.code == 0, said.err
        return path

    def export(self, recording: str, path: Path, *words: object) -> Said:
        """Try to export *recording* into *path*."""
        base = ("export", recording, "--data", self.data, "--json", "-o", path)
        key = () if "--key" in words else ("--key", self.key)
        return command(*base, *key, *words)

    def sound(self, recording: str, *words: object) -> tuple[NDArray[np.int16], int]:
        """The exported samples (samples, legs), and their rate."""
        pcm, rate = soundfile.read(self.exported(recording, *words), dtype="int16", always_2d=True)
        return pcm, int(rate)

    @property
    def parts(self) -> list[Path]:
        """Every part file."""
        return sorted((self.data / "vault" / "parts").rglob("*.gpart"))

    @property
    def private(self) -> PrivateKey:
        """The office key."""
        return PAIR

    def opened(self) -> list[OpenedPart]:
        """Every part, torn ones too, opened with the office key, by recording and number."""
        with archive.Archive.open(self.data, SystemClock()) as opened:
            found = []
            for path in self.parts:
                block = opened.shred.get(_name(path)).block
                found.append(playback.open_part(path, block, self.private, unfinished=True))
        return sorted(found, key=lambda part: (part.header.recording_id, part.header.number))

    def entries(self) -> list[Entry]:
        """The log."""
        return list(verify.entries(self.data))

    def contents(self) -> dict[Path, bytes]:
        """Every file of the data directory."""
        return {path: path.read_bytes() for path in self.data.rglob("*") if path.is_file()}

    @cached_property
    def device(self) -> str:
        """The device's name."""
        return str(json.loads((self.data / "device.json").read_text())["device"])


def _name(path: Path) -> Any:
    from greffier.store.shred_format import PART, Name  # noqa: PLC0415 - only here

    return Name(PART, bytes.fromhex(path.stem))


def payloads(parts: Iterable[OpenedPart]) -> list[bytes]:
    """The payload bytes of every packet in *parts*."""
    return [packet.data for part in parts for leg in part.legs.values() for packet in leg.packets]


def policy_with(folder: Path, base: Path, *changes: tuple[str, str]) -> Path:
    """A copy of the policy *base* with texts replaced."""
    text = base.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / f"policy-{abs(hash(changes))}.toml"
    path.write_text(text)
    return path


def coded(folder: Path, codec: str, base: Path = RETAIL, line: str = "vente") -> Path:
    """The policy *base* with *codec* on *line*."""
    return policy_with(folder, base, (f"[lines.{line}]", f'[lines.{line}]\ncodec = "{codec}"'))


def loaded(path: Path) -> Policy:
    """The policy in a file."""
    return rules.load(path)
