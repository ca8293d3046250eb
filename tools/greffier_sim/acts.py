"""What happens in the demonstration, in its order: enrolment, calls, kills, a cut, receipts."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from greffier.control.messages import Status
from greffier.control.transfer import SyncState
from greffier.errors import GreffierError
from greffier.language import translate as _
from greffier_sim import branch, faketap, scenes, speech
from greffier_sim.appliance import Appliance
from greffier_sim.branch import Branch
from greffier_sim.collection import RATE as RATE_BPS
from greffier_sim.collection import Headquarters, Sites, enrol, unconfirmed
from greffier_sim.promises_office import look_at_log, seen_by_office
from greffier_sim.scenes import HANDSETS, ORDER, OTHERS, SILENT_S, Talk
from greffier_sim.service import Unwell
from greffier_sim.soak_missing import Missing
from greffier_sim.stage import Broken, Told, command, say
from greffier_sim.transfer import Transfer
from greffier_sim.trunk import Caller, Telephones
from greffier_sim.witness import Witness

RATE = 8000
SPOKEN_BEFORE_KILL_S = 2.5
APART_S = 0.35
PATIENCE_S = 180.0
SETTLE_S = 0.2
"""What is in the kernel's buffers reaches tcpdump by then."""


@contextlib.contextmanager
def wiring() -> Iterator[Branch]:
    """A mirrored port in namespaces, or the loopback with a word why."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(branch.mirrored())
            say(_("  the branch: a bridge with a mirrored port, in namespaces of its own"))
        except Missing as error:
            made = branch.loopback()
            reason = str(error).partition(": ")[0]
            text = _("  no network namespaces here ({reason}): over the loopback")
            say(text.format(reason=reason))
        yield made


def prepare(sites: Sites, wire: Branch) -> None:
    """A data directory, a policy that two people signed, a configuration. Raises Broken."""
    office = ("--office-key", str(sites.keys / "office.pub"))
    command("greffier", "init", "--data", str(sites.device), *office)
    policy = scenes.write_policy(sites.work)
    people = ("direction", "dpo")
    for name in people:
        command("greffier-office", "signer", name, "-o", str(sites.keys))
    signing = [word for name in people for word in ("--key", str(sites.keys / f"{name}.key"))]
    command("greffier-office", "sign", str(policy), *signing)
    known = [(sites.keys / f"{name}.pub").read_text("ascii") for name in people]
    (sites.work / "signers").write_text("".join(known), "ascii")
    scenes.write_config(sites.work, sites.device, wire, sites.control_socket, sites.sync_config)


def get_acquainted(sites: Sites) -> None:
    """Enrol the box at head office, step by step. Raises Broken."""
    steps = (
        _("  head office makes a claim code for one box: {code}"),
        _("  {device} makes its keys, and a request that it signs"),
        _("  head office signs two certificates, good until {day}"),
    )
    for step, known in zip(steps, enrol(sites), strict=True):
        values = {"code": known.code, "device": known.device, "day": known.expires[:10]}
        say(step.format(**values))
    say(_("  what it records opens with head office's key only"))


def silence(seconds: float) -> NDArray[np.int16]:
    """So much of nothing."""
    return np.zeros(int(seconds * RATE), np.int16)


def cards(sites: Sites, told: Told | None = None) -> faketap.Configuration:
    """Simulated sound cards for the analogue lines: silent, or (*told*) about to be spoken on.

    Raises Broken.
    """
    taps = []
    for handset in HANDSETS:
        sound = sites.work / f"{handset.name}.raw"
        said = silence(SILENT_S) if told is None else told.spoken[handset]
        sound.write_bytes(said.astype("<i2").tobytes())
        taps.append(faketap.Tap(handset.name, source=sound))
    try:
        return faketap.configure(sites.work, taps)
    except faketap.NotBuilt as error:
        raise Broken(str(error)) from error


class Play:
    """One performance. Owned by the thread that made it; everything is running."""

    def __init__(
        self,
        sites: Sites,
        told: Told,
        recorder: Appliance,
        transfer: Transfer,
        office: Headquarters,
        phones: Telephones,
    ) -> None:
        self._sites = sites
        self._told = told
        self._recorder = recorder
        self._transfer = transfer
        self._office = office
        self._phones = phones

    def place(self, talk: Talk) -> None:
        """Begin one call, and say so."""
        told = self._told
        audio = self._sites.work / f"said-{len(told.placed)}.al"
        said = speech.write_phrases(audio, talk.sentences)
        port = self._phones.call(Caller(talk.number, talk.called, audio, len(said) / RATE + 0.3))
        told.placed[port] = (talk, said)
        say(f"  ☎ {talk.number:>14} → {talk.called}")

    def kill_the_recorder(self) -> None:
        """A call, and the recorder's death in the middle of it. Raises Unwell, OSError."""
        self.place(ORDER)

        def is_told(status: Status) -> bool:
            return any(part.last_sample > SPOKEN_BEFORE_KILL_S * RATE for part in status.committed)

        self._recorder.wait_for(is_told)
        self._recorder.kill()
        killed = time.monotonic()
        cards(self._sites, self._told)
        say(_("  ✂ kill -9: the recorder is dead in the middle of a sentence"))
        self._recorder.start()
        self._told.down_s = time.monotonic() - killed
        say(_("  ⟳ started again after {seconds:.1f} s").format(seconds=self._told.down_s))
        self._transfer.wait_for(lambda state: state.received > 0, "a first receipt")
        say(_("  ✉ head office signs a first receipt: what was said until then is safe there"))

    def work_without_head_office(self) -> None:
        """The line is cut, and everybody telephones. Raises Unwell, OSError."""
        received = look_at_log(self._sites).received
        self._office.cut()
        for talk in OTHERS:
            self.place(talk)
            time.sleep(APART_S)
        for handset in HANDSETS:
            say(_("  ☏ {name:>14}, an analogue line").format(name=handset.name))
        say(_("  ✂ kill -9: the transfer is dead too; what waits is the recorder's"))
        self._transfer.kill()
        say(_("  ⟳ started again after {seconds:.1f} s").format(seconds=self._transfer.start()))
        self._phones.wait()
        say(_("  ✆ everybody has hung up"))
        self._recorder.wait_idle()
        seen = look_at_log(self._sites)
        self._told.waited = seen.waiting
        self._told.confirmed_while_cut = seen.received - received
        say(
            _("  … {parts} parts and {entries} entries of the log wait for head office").format(
                parts=seen.waiting, entries=seen.not_cosigned
            )
        )

    def deliver(self) -> None:
        """The line is back; head office's side is killed meanwhile. Raises Unwell, OSError."""
        self._told.outage_s = self._office.restore()
        begun = time.monotonic()
        say(_("▶ The line is back after {seconds:.1f} s").format(seconds=self._told.outage_s))
        self._hurry()
        left = self._see_receipt(self._told.waited)
        say(_("  ✂ kill -9: head office's broker and collector, with receipts on their way"))
        self._office.restart()
        self._hurry()
        while left:
            left = self._see_receipt(left)
        self._transfer.wait_for(_is_cosigned, "head office has cosigned the log")
        say(
            _("  ✉ everything is at head office, {seconds:.1f} s after the line came back").format(
                seconds=time.monotonic() - begun
            )
        )
        box = self._transfer.wait_until(lambda: seen_by_office(self._sites), "it is seen online")
        text = _("  head office sees {device} online: {stored} parts are held, none waits")
        say(text.format(**box))
        for service in (self._transfer, self._recorder, self._office.collector):
            if service.stop() != 0:
                raise Unwell(f"{service.name} failed at its end: {service.last_words()}")

    def _hurry(self) -> None:
        """What a person would do who knows that the way is free again. Raises GreffierError."""
        self._transfer.hurry()
        say(_("  » greffier sync now: without waiting for the next try"))

    def _see_receipt(self, left: int) -> int:
        """Wait until fewer than *left* parts wait for a receipt, and say so. Raises Unwell."""

        def look() -> tuple[int] | None:
            waiting = unconfirmed(self._sites)
            return None if waiting is None or waiting >= left else (waiting,)

        (waiting,) = self._transfer.wait_until(look, "another receipt", PATIENCE_S)
        parts = self._told.waited
        say(_("  ✉ receipts: {count} of {parts}").format(count=parts - waiting, parts=parts))
        return waiting


def _is_cosigned(state: SyncState) -> bool:
    return 0 < state.log_size == state.cosigned_size


_FAILURES = (Unwell, Missing, GreffierError, OSError, RuntimeError, subprocess.SubprocessError)


def perform(sites: Sites, told: Told) -> None:
    """Everything until all processes have ended in good order. Raises Broken."""
    try:
        with ExitStack() as stack:
            _perform(sites, told, stack)
    except _FAILURES as error:
        raise Broken(str(error)) from error


def _perform(sites: Sites, told: Told, stack: ExitStack) -> None:
    sites.work.mkdir()
    say(_("▶ A branch and its head office"))
    wire = stack.enter_context(wiring())
    office = Headquarters(sites)
    stack.callback(office.stop)
    office.start()
    text = _("  head office: an MQTT broker with TLS 1.3, behind a line of {rate:g} Mbit/s")
    say(text.format(rate=RATE_BPS / 1e6))
    prepare(sites, wire)
    get_acquainted(sites)
    environment = cards(sites).environment
    recorder = Appliance(sites.work, sites.control_socket, wire.recorder, environment)
    seen = sites.work / "witness.pcap"
    witness = Witness(seen, wire.witness, wire.network, wire.recorder)
    stack.callback(witness.stop)
    phones = Telephones(wire, sites.work)
    stack.callback(phones.stop)
    stack.callback(recorder.kill)
    transfer = Transfer(recorder.config, sites.sync_socket, sites.work / "sync.log")
    stack.callback(transfer.kill)
    # Where a start takes long, a start after a kill takes longer.
    quiet = silence(max(SILENT_S, 3 * recorder.start() + 2))
    for handset in HANDSETS:
        told.spoken[handset] = np.concatenate([quiet, speech.speak_all(handset.sentences)])
    transfer.start()
    play = Play(sites, told, recorder, transfer, office, phones)
    say(_("▶ A stock exchange order is being given..."))
    play.kill_the_recorder()
    say(_("▶ The line to head office is cut; the branch works on"))
    play.work_without_head_office()
    play.deliver()
    time.sleep(SETTLE_S)
    told.unseen = witness.stop()
