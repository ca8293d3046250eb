"""`./build.sh demo`: real calls become lawful, sealed, provable recordings, before your eyes.

Everything is local and real: SIPp places calls on the loopback, tcpdump is the mirrored port, and
the product's own commands do the rest. Each promise is checked against what was really said and
captured; the exit code is 0 only if all of them hold.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from greffier import language
from greffier.cli.main import speak, take_language
from greffier.errors import GreffierError
from greffier.language import translate as _
from greffier.recorder.outcome import leading_code
from greffier_sim import speech, thief, trunk
from greffier_sim.scenes import Scene, scenes, words_of, write_policy
from greffier_sim.trunk import Caller

BIN = Path(sys.executable).parent


class Broken(Exception):
    """A promise did not hold, or a part of the demo could not be run: what, in one line."""


@dataclass(slots=True)
class Told:
    """What the demo counted."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    checks: list[tuple[str, bool]] = field(default_factory=list)
    dropped: int = 0

    def check(self, what: str, held: bool) -> bool:
        """Note whether a promise held, and say so."""
        self.checks.append((what, held))
        say(f"  {'✔' if held else '✖'} {what}")
        return held


def say(text: str = "") -> None:
    """One line for the person who watches (stdout is kept for the result)."""
    print(text, file=sys.stderr, flush=True)


def command(*words: str, allowed: Sequence[int] = (0,)) -> dict[str, Any]:
    """Run one of the product's commands; the JSON object that it prints. Raises Broken."""
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:], "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode not in allowed:
        raise Broken(f"{words[0]} {words[1]}: {done.stderr.strip().splitlines()[-1:]}")
    lines = done.stdout.strip().splitlines()
    return dict(json.loads(lines[-1])) if lines else {"exit": done.returncode}


def play(scene: Scene, number: int, folder: Path, told: Told) -> tuple[Path, dict[str, bytes]]:
    """Place the calls of a scene; the capture, and what each caller said (raw A-law, by number)."""
    work = folder / f"scene{number}"
    work.mkdir(parents=True)
    said: dict[str, bytes] = {}
    callers = []
    for place, (name, caller, called) in enumerate(scene.callers):
        audio = work / f"said{place}.al"
        said[caller] = speech.write_phrase(audio, place + number)
        callers.append(Caller(name, caller, called, audio, len(said[caller]) / 8000 + 0.3))
    capture = work / "mirror.pcap"
    try:
        told.dropped += trunk.place_calls(callers, capture, work)
    except OSError as error:
        raise Broken(str(error)) from error
    return capture, said


def record(folder: Path, told: Told) -> dict[str, bytes]:
    """Play every scene and import its capture; what was said, by caller's number."""
    said: dict[str, bytes] = {}
    for number, scene in enumerate(scenes()):
        say(f"▶ {scene.title}")
        capture, spoken = play(scene, number, folder / "work", told)
        said |= spoken
        facts = ["window=true", *scene.facts]
        if scene.sector == "mifid":
            facts.append("mifid=yes")
        made = command(
            *("greffier", "import-pcap", str(capture)),
            *("--policy", str(write_policy(scene, folder / "work")), "--line", scene.line),
            *("--data", str(folder / "device"), "--facts", " ".join(facts)),
        )
        for call in made["calls"]:
            told.calls.append(call)
            say(f"    {call['from']:>14} → {call['to']:<12} {words_of(call)}")
    return said


def check_sound(folder: Path, told: Told, said: dict[str, bytes]) -> None:
    """Export one call of the desk and compare it with what was sent, sample for sample."""
    call = next(one for one in told.calls if one["line"] == "desk" and one["recording"])
    sound = folder / "work" / "export.wav"
    command(
        *("greffier", "export", call["recording"], "--data", str(folder / "device")),
        *("--key", str(folder / "keys" / "office.key"), "--format", "wav", "-o", str(sound)),
    )
    with wave.open(io.BytesIO(sound.read_bytes())) as file:
        channels = file.getnchannels()
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)
    sent = speech.from_alaw(said[call["from"]])
    sides = [leg["side"] for leg in call["legs"]]
    caller = heard[:, sides.index("caller")]
    same = len(caller) >= len(sent) and bool((caller[: len(sent)] == sent).all())
    told.check(_("the export equals what was said, sample for sample"), same)


def check_thief(folder: Path, told: Told) -> int:
    """Try everything that lies on the device on every part. Returns how many parts opened."""
    opened = thief.open_parts(folder / "device")
    numbers = thief.find_clear(folder / "device", [call["from"] for call in told.calls])
    held = opened == 0 and not numbers
    told.check(_("a thief with the whole device opens no part and reads no number"), held)
    return opened


def check_office(folder: Path, told: Told) -> int:
    """Open every part with head office's key. Returns how many recordings opened."""
    opened = 0
    for call in told.calls:
        if call["recording"]:
            sound = folder / "work" / f"{call['recording']}.wav"
            command(
                *("greffier", "export", call["recording"], "--data", str(folder / "device")),
                *("--key", str(folder / "keys" / "office.key"), "-o", str(sound)),
            )
            opened += 1
    recorded = sum(1 for call in told.calls if call["recording"])
    told.check(_("head office's key opens every recording"), opened == recorded > 0)
    return opened


def check_tampering(folder: Path, told: Told) -> bool:
    """Flip one bit in a copy: the export must refuse and the log must show it."""
    copy = folder / "work" / "tampered"
    shutil.copytree(folder / "device", copy)
    part = next((copy / "vault" / "parts").rglob("*.gpart"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    recording = data[36:52].hex()
    out = folder / "work" / "tampered.wav"
    key = ("--key", str(folder / "keys" / "office.key"))
    refused = subprocess.run(
        [str(BIN / "greffier"), "export", recording, "--data", str(copy), "-o", str(out), *key],
        capture_output=True,
        check=False,
    )
    report = command("greffier", "audit", "verify", "--data", str(copy), allowed=(20,))
    found = refused.returncode == 20 and not out.exists() and not report["ok"]
    return told.check(_("one flipped bit in a copy is found, and nothing is written"), found)


def summary(folder: Path, told: Told, started: float) -> dict[str, Any]:
    """Check every promise and count."""
    device = str(folder / "device")
    listed = command(
        "greffier", "calls", "--data", device, "--key", str(folder / "keys" / "office.key")
    )["calls"]
    told.check(_("every call that was placed is listed"), len(listed) == _placed())
    recorded = [call for call in listed if call["recording"]]
    not_recorded: dict[str, int] = {}
    for call in listed:
        if not call["recording"]:
            code = leading_code(call["codes"])
            not_recorded[code] = not_recorded.get(code, 0) + 1
    lost = told.dropped + sum(call["accounted"]["lost"] for call in listed)
    told.check(_("no packet was lost"), lost == 0)
    covered = command("greffier", "coverage", "--data", device)["accounted"]
    told.check(_("every second is accounted for"), covered == 1.0)
    audit = command("greffier", "audit", "verify", "--data", device, allowed=(0, 20))
    told.check(_("the audit log is whole"), bool(audit["ok"]))
    return {
        "calls": len(listed),
        "recorded": len(recorded),
        "not_recorded": not_recorded,
        "lost_packets": lost,
        "recordings_synced": None,
        "receipts": None,
        "outage_s": None,
        "audit_entries": audit["entries"],
        "audit_verified": bool(audit["ok"]),
        "coverage_accounted": covered,
        "tamper_detected": False,
        "opens_without_key": 0,
        "opens_with_key": 0,
        "elapsed_s": round(time.monotonic() - started, 1),
        "console_url": None,
    }


def _placed() -> int:
    return sum(len(scene.callers) for scene in scenes())


def run(folder: Path, started: float) -> tuple[dict[str, Any], bool]:
    """The whole story in *folder*; the figures, and whether every promise held. Raises Broken."""
    told = Told()
    keys, device = folder / "keys", folder / "device"
    command("greffier-office", "keygen", "-o", str(keys))
    shutil.rmtree(folder / "office", ignore_errors=True)
    (folder / "office").mkdir()
    made = command(
        "greffier", "init", "--data", str(device), "--office-key", str(keys / "office.pub")
    )
    say(_("Device {device}: its recordings open with head office's key only.").format(**made))
    said = record(folder, told)
    say(_("Checks"))
    figures = summary(folder, told, started)
    check_sound(folder, told, said)
    figures["opens_with_key"] = check_office(folder, told)
    figures["opens_without_key"] = check_thief(folder, told)
    figures["tamper_detected"] = check_tampering(folder, told)
    audit = command("greffier", "audit", "verify", "--data", str(device), allowed=(0, 20))
    figures["audit_entries"] = audit["entries"]
    figures["elapsed_s"] = round(time.monotonic() - started, 1)
    return figures, all(held for _what, held in told.checks)


def show(figures: dict[str, Any]) -> str:
    """The figures as a table that a manager understands."""
    left_out = ", ".join(f"{code} {count}" for code, count in figures["not_recorded"].items())
    rows = [
        (_("calls placed"), figures["calls"]),
        (_("recorded"), figures["recorded"]),
        (_("not recorded, and why"), left_out or "0"),
        (_("packets lost"), figures["lost_packets"]),
        (_("time accounted for"), f"{figures['coverage_accounted']:.3%}"),
        (_("entries of the audit log"), figures["audit_entries"]),
        (_("opened by a thief"), figures["opens_without_key"]),
        (_("opened by head office"), figures["opens_with_key"]),
        (_("seconds"), figures["elapsed_s"]),
    ]
    width = max(len(name) for name, _value in rows)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def with_folder(keep: str | None, work: Callable[[Path], int]) -> int:
    """Do *work* in *keep* (made, must be empty), or in a folder that goes away."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="greffier-demo-") as name:
            return work(Path(name))
    folder = Path(keep).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        say(_("{path} is not empty; choose another folder").format(path=folder))
        return 2
    try:
        return work(folder)
    finally:
        shutil.rmtree(folder / "work", ignore_errors=True)


def main() -> int:
    """Entry point of ./build.sh demo."""
    started = time.monotonic()
    try:
        chosen, words = take_language(sys.argv[1:])
    except GreffierError as error:
        say(str(error))
        return 2
    speak(chosen)
    parser = argparse.ArgumentParser(prog="./build.sh demo")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--keep", metavar="DIR", help="leave device/ office/ keys/ in DIR")
    arguments = parser.parse_args(words)

    def work(folder: Path) -> int:
        try:
            figures, held = run(folder, started)
        except Broken as error:
            say(f"✖ {error}")
            return 1
        say()
        say(show(figures))
        if arguments.as_json:
            print(json.dumps(figures))
        return 0 if held else 1

    return with_folder(arguments.keep, work)


if __name__ == "__main__":
    language.choose(language.DEFAULT)
    sys.exit(main())
