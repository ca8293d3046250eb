"""`./build.sh demo`: real calls become lawful, sealed, provable recordings, before your eyes.

Everything is local and real: SIPp places calls over a bridge whose port is mirrored, a recorder
process listens to the mirror, is killed in the middle of a call and started again, and the
product's own commands show what is left. Each promise is checked against what was really said and
what tcpdump saw beside the recorder; the exit code is 0 only if all of them hold.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from greffier import language
from greffier.cli.main import speak, take_language
from greffier.control.messages import Status
from greffier.errors import GreffierError
from greffier.language import translate as _
from greffier_sim import branch, faketap, promises, scenes, speech
from greffier_sim.appliance import Appliance
from greffier_sim.branch import Branch
from greffier_sim.promises import Broken, Told, command, say
from greffier_sim.scenes import HANDSETS, ORDER, OTHERS, SILENT_S, Talk, words_of
from greffier_sim.service import Unwell
from greffier_sim.soak_missing import Missing
from greffier_sim.trunk import Caller, Telephones
from greffier_sim.witness import Witness

RATE = 8000
SPOKEN_BEFORE_KILL_S = 2.5
APART_S = 0.35
QUIET = np.zeros(int(SILENT_S * RATE), np.int16)


@contextlib.contextmanager
def wiring() -> Iterator[Branch]:
    """A mirrored port in namespaces, or the loopback with a word why."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(branch.mirrored())
            say(_("A bridge with a mirrored port, in network namespaces of its own."))
        except Missing as error:
            made = branch.loopback()
            say(_("No network namespaces here ({reason}): over the loopback.").format(reason=error))
        yield made


def set_up(folder: Path, made: Branch, told: Told, socket: Path) -> Appliance:
    """Keys, a data directory, a policy that two people signed, a configuration. Raises Broken."""
    keys, device, work = folder / "keys", folder / "device", folder / "work"
    work.mkdir()
    (folder / "office").mkdir()
    command("greffier-office", "keygen", "-o", str(keys))
    office = ("--office-key", str(keys / "office.pub"))
    about = command("greffier", "init", "--data", str(device), *office)
    say(_("Device {device}: its recordings open with head office's key only.").format(**about))
    policy = scenes.write_policy(work)
    people = ("direction", "dpo")
    for name in people:
        command("greffier-office", "signer", name, "-o", str(keys))
    signing = [word for name in people for word in ("--key", str(keys / f"{name}.key"))]
    command("greffier-office", "sign", str(policy), *signing)
    known = [(keys / f"{name}.pub").read_text("ascii") for name in people]
    (work / "signers").write_text("".join(known), "ascii")
    scenes.write_config(work, device, made, socket)
    for handset in HANDSETS:
        told.spoken[handset] = np.concatenate([QUIET, speech.speak_all(handset.sentences)])
    return Appliance(work, socket, made.recorder, cards(work).environment)


def cards(work: Path, told: Told | None = None) -> faketap.Configuration:
    """Simulated sound cards for the analogue lines: silent, or (*told*) about to be spoken on.

    Raises Broken.
    """
    taps = []
    for handset in HANDSETS:
        sound = work / f"{handset.name}.raw"
        said = QUIET if told is None else told.spoken[handset]
        sound.write_bytes(said.astype("<i2").tobytes())
        taps.append(faketap.Tap(handset.name, source=sound))
    try:
        return faketap.configure(work, taps)
    except faketap.NotBuilt as error:
        raise Broken(str(error)) from error


def place(talk: Talk, telephones: Telephones, told: Told, work: Path) -> None:
    """Begin one call, and say so."""
    audio = work / f"said-{len(told.placed)}.al"
    said = speech.write_phrases(audio, talk.sentences)
    port = telephones.call(Caller(talk.number, talk.called, audio, len(said) / RATE + 0.3))
    told.placed[port] = (talk, said)
    say(f"  ☎ {talk.number:>14} → {talk.called}")


def play(appliance: Appliance, telephones: Telephones, told: Told) -> None:
    """The calls, and the kill in the middle of the first. Raises Unwell, OSError."""
    work = appliance.folder
    say(_("▶ A stock exchange order is being given..."))
    place(ORDER, telephones, told, work)

    def is_told(status: Status) -> bool:
        return any(part.last_sample > SPOKEN_BEFORE_KILL_S * RATE for part in status.committed)

    appliance.wait_for(is_told)
    appliance.kill()
    killed = time.monotonic()
    cards(work, told)
    say(_("  ✂ kill -9: the recorder is dead in the middle of a sentence"))
    appliance.start()
    told.down_s = time.monotonic() - killed
    say(_("  ⟳ started again after {seconds:.1f} s").format(seconds=told.down_s))
    say(_("▶ ... meanwhile the branch works on"))
    for talk in OTHERS:
        place(talk, telephones, told, work)
        time.sleep(APART_S)
    for handset in HANDSETS:
        say(_("  ☏ {name:>14}, an analogue line").format(name=handset.name))
    telephones.wait()
    say(_("  ✆ everybody has hung up"))
    appliance.wait_for(lambda status: not any(line.calls for line in status.lines))
    appliance.stop()


def record(folder: Path, told: Told) -> None:
    """Everything until the recorder has ended in good order. Raises Broken."""
    try:
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(wiring())
            # A socket's name is short, and the folder's may be long.
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="greffier-demo-"))
            appliance = set_up(folder, made, told, Path(place) / "control.sock")
            seen = folder / "work" / "witness.pcap"
            witness = Witness(seen, made.witness, made.network, made.recorder)
            stack.callback(witness.stop)
            telephones = Telephones(made, folder / "work")
            stack.callback(telephones.stop)
            stack.callback(appliance.kill)
            appliance.start()
            play(appliance, telephones, told)
            time.sleep(0.2)
            told.unseen = witness.stop()
    except (Unwell, GreffierError, OSError, subprocess.SubprocessError) as error:
        raise Broken(str(error)) from error


def who_of(call: dict[str, Any]) -> str:
    """Who calls whom, or on which analogue line."""
    if call["from"] is None:
        return f"{call['legs'][0]['source']:>14}"
    return f"{call['from']:>14} → {call['to']:<12}"


def run(folder: Path, started: float) -> tuple[dict[str, Any], bool]:
    """The whole story in *folder*; the figures, and whether every promise held. Raises Broken."""
    told = Told()
    record(folder, told)
    promises.list_calls(folder, told)
    for call in told.calls:
        say(f"    {who_of(call):<29} {words_of(call)}")
    say(_("Checks"))
    figures = promises.examine(folder, told)
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
        (_("seconds without recorder, told as such"), figures["off_s"]),
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
    parser = argparse.ArgumentParser(
        prog="./build.sh demo",
        epilog=_("{name}=1 in the environment: over the loopback, without namespaces").format(
            name=branch.LOOPBACK_SWITCH
        ),
    )
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--keep", metavar="DIR", help="leave device/ office/ keys/ in DIR")
    arguments = parser.parse_args(words)

    def work(folder: Path) -> int:
        try:
            figures, held = run(folder, started)
        except Broken as error:
            say(f"✖ {error}")
            return 1
        except KeyboardInterrupt:
            say(_("interrupted"))
            return 130
        say()
        say(show(figures))
        if arguments.as_json:
            print(json.dumps(figures))
        return 0 if held else 1

    return with_folder(arguments.keep, work)


if __name__ == "__main__":
    language.choose(language.DEFAULT)
    sys.exit(main())
