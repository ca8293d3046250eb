"""The promises of the demonstration, each checked against what was said and what was seen."""

import shutil
import wave
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greffier.durable import Disk
from greffier.language import translate as _
from greffier.recorder.outcome import leading_code
from greffier.seal.keys import PrivateKey, Role, read_private
from greffier.store import layout, playback
from greffier.store.playback import OpenedPart
from greffier.store.shred_format import PART, Name
from greffier_sim import speech, thief
from greffier_sim.collection import Sites
from greffier_sim.promises_office import (
    check_altered_store,
    check_collection,
    check_opened,
    check_store,
)
from greffier_sim.scenes import INSIDE, ORDER, Handset, Talk
from greffier_sim.stage import Broken, Told, command, say
from greffier_sim.witness import Seen, rtp_packets

UNCOMMITTED_S = 1.0
"""What a kill may take of the sound, beside the time in which no recorder ran."""
RATE = 8000
PACKET_S = 0.02
DEAF_S = 0.5
"""What a sound card may need to be opened, in both lives of the recorder together."""
LOUD = 1000
"""Of 16-bit samples: what nobody misses."""


def _key(sites: Sites) -> tuple[str, str]:
    return ("--key", str(sites.keys / "office.key"))


def list_calls(sites: Sites, told: Told) -> None:
    """Ask the product for its calls. Raises Broken."""
    told.calls = command("greffier", "calls", "--data", str(sites.device), *_key(sites))["calls"]


def examine(sites: Sites, told: Told) -> dict[str, Any]:
    """Check every promise and count; the figures of the contract. Raises Broken."""
    device = str(sites.device)
    say(_("▶ Checks: what was recorded"))
    check_list(told)
    lost = check_packets(sites, told)
    coverage = command("greffier", "coverage", "--data", device)
    off_s = check_outage(told, coverage)
    opened = check_office(sites, told)
    check_sound(sites, told)
    audit = command("greffier", "audit", "verify", "--data", device, allowed=(0, 20))
    told.check(_("the audit log is whole"), bool(audit["ok"]))
    say(_("▶ Checks: what head office holds"))
    held = check_collection(sites, told)
    check_opened(sites, told)
    check_store(sites, told)
    say(_("▶ Checks: a thief, and a forger"))
    stolen = check_thief(sites, told)
    tampering = [check_tampering(sites, told), check_altered_store(sites, told)]
    left_out = [call for call in told.calls if not call["recording"]]
    return {
        "calls": len(told.calls),
        "recorded": len(told.calls) - len(left_out),
        "not_recorded": dict(Counter(leading_code(call["codes"]) for call in left_out)),
        "lost_packets": lost,
        "recordings_synced": held.recordings,
        "receipts": held.receipts,
        "outage_s": round(told.outage_s, 1),
        "audit_entries": audit["entries"],
        "audit_verified": bool(audit["ok"]),
        "coverage_accounted": coverage["accounted"],
        "tamper_detected": all(tampering),
        "opens_without_key": stolen,
        "opens_with_key": opened,
        "elapsed_s": 0.0,
        "console_url": None,
        "off_s": off_s,
    }


def _of(told: Told, made: Talk | Handset) -> dict[str, Any]:
    """The call that was listed for *made*. Raises Broken."""
    if isinstance(made, Talk):
        found = [call for call in told.calls if call["from"] == made.number]
    else:
        found = [call for call in told.calls if _channel_of(call) == made.name]
    if len(found) != 1:
        raise Broken(_("{count} calls of {name} are listed").format(count=len(found), name=made))
    return found[0]


def _channel_of(call: dict[str, Any]) -> str | None:
    return None if call["from"] or not call["legs"] else str(call["legs"][0]["source"])


def check_list(told: Told) -> None:
    """Every call once, each as the policy wants it; the call that was cut is one recording."""
    talks = [talk for talk, _said in told.placed.values()]
    made = [talk.number for talk in talks] + [handset.name for handset in told.spoken]
    listed = [call["from"] or call["legs"][0]["source"] for call in told.calls]
    told.check(_("every call that was made is listed, once"), sorted(made) == sorted(listed))
    wanted = {"desk": {"MANDATORY_MIFID"}, "accueil": {"SAMPLED_IN", "SAMPLED_OUT"}}
    fit = all(
        leading_code(call["codes"])
        in ({"INTERNAL_OFF"} if call["from"] == INSIDE.number else wanted[call["line"]])
        for call in told.calls
    )
    told.check(_("each call has the verdict that policy and draw give it"), fit)
    cut = _of(told, ORDER)
    told.check(
        _("the call that was cut is one call and one recording, and ends when they hang up"),
        cut["end"] == "bye" and bool(cut["recording"]) and len(cut["parts"]) == 2,
    )


def check_packets(sites: Sites, told: Told) -> int:
    """Compare what tcpdump saw with what became of it; how many packets are nowhere."""
    seen = rtp_packets(sites.work / "witness.pcap")
    lost = 0
    for port, (talk, _said) in told.placed.items():
        mine = [one for one in seen if port in (one.source, one.destination)]
        call = _of(told, talk)
        if talk is ORDER:
            missing = _lost_of_cut(sites, call, mine, told)
        else:
            counted = call["accounted"]
            kinds = ("recorded", "not_recorded", "masked", "silent", "duplicates")
            missing = max(len(mine) - sum(counted[kind] for kind in kinds), 0)
        if missing:
            say(f"    {talk.number}: {missing} / {len(mine)}")
        lost += missing
    for handset in told.spoken:
        counted = _of(told, handset)["accounted"]
        lost += counted["received"] - counted["recorded"] - counted["not_recorded"]
        lost += counted["lost"]
    told.check(
        _("of {count} packets, and of the samples of the analogue lines, none was lost").format(
            count=len(seen)
        ),
        lost == 0 and told.unseen == 0,
    )
    return lost


def _lost_of_cut(sites: Sites, call: dict[str, Any], seen: list[Seen], told: Told) -> int:
    """Packets of the cut call that are missing inside its parts; checks that little is between.

    The parts must hold each leg packet for packet, except for one piece in the middle.
    """
    lost = 0
    parts = open_parts(sites.device, sites.keys / "office.key", call["recording"])
    if len(parts) != 2:
        return len(seen)
    between = 0
    for source in {one.source for one in seen}:
        sent = [one for one in seen if one.source == source]
        before, after = (packets_from(part, source) for part in parts)
        kept = before | after
        right = [kept.get(one.sequence) == one.payload for one in sent]
        if not before or not after or False not in right:
            lost += len(sent) - sum(right)
            continue
        # What is missing in one piece, after the first life's last packet, is the outage.
        gone = right.index(False)
        back = next((at for at in range(gone, len(sent)) if right[at]), len(sent))
        between = max(between, back - gone)
        lost += right[back:].count(False)
    missing_s = between * PACKET_S
    told.check(
        _("{missing:.1f} s of sound are missing; the recorder was away for {away:.1f} s").format(
            missing=missing_s, away=told.down_s
        ),
        missing_s <= told.down_s + UNCOMMITTED_S,
    )
    return lost


def open_parts(device: Path, key: Path, recording: str) -> list[OpenedPart]:
    """The parts of *recording*, in order, opened with head office's key."""
    private: PrivateKey = read_private(key, Role.OFFICE)
    store = layout.open(device).shred_store(Disk())
    found = []
    try:
        for path in device.rglob("*.gpart"):
            block = store.get(Name(PART, bytes.fromhex(path.stem))).block
            opened = playback.open_part(path, block, private, unfinished=True)
            if opened.header.recording_id.hex() == recording:
                found.append(opened)
    finally:
        store.close()
    return sorted(found, key=lambda part: part.header.number)


def packets_from(part: OpenedPart, port: int) -> dict[int, bytes]:
    """The payloads, by RTP sequence number, of the legs of *part* that come from UDP *port*."""
    return {
        packet.sequence & 0xFFFF: packet.data
        for leg in part.legs.values()
        if leg.table["source"].endswith(f":{port}")
        for packet in leg.packets
    }


def check_outage(told: Told, coverage: dict[str, Any]) -> float:
    """Every second has one state; of the cut call's, those without recorder are `off`: how many."""
    cut = _of(told, ORDER)["number"]
    off_s = sum(
        one["seconds"].get("off", 0.0) for one in coverage["channels"] if one["channel"] == cut
    )
    told.check(_("every second is accounted for"), coverage["accounted"] == 1.0)
    deaf = [
        one["channel"] for one in coverage["channels"] if one["seconds"].get("lost", 0.0) > DEAF_S
    ]
    told.check(_("no second was lost while the recorder ran"), not deaf)
    told.check(
        _("the time in which the recorder was dead is told as such"),
        0.0 < off_s <= told.down_s + UNCOMMITTED_S,
    )
    return float(round(off_s, 1))


def check_sound(sites: Sites, told: Told) -> None:
    """Compare the export of what was kept as it came with what was said, sample for sample."""
    same = True
    for talk, said in told.placed.values():
        call = _of(told, talk)
        if talk.line != "desk" or talk is ORDER:
            continue
        with wave.open(str(sound_of(sites, call["recording"]))) as file:
            channels = file.getnchannels()
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        sides = [leg["side"] for leg in call["legs"]]
        caller = frames.reshape(-1, channels)[:, sides.index("caller")]
        sent = speech.from_alaw(said)
        same = same and len(caller) >= len(sent) and bool((caller[: len(sent)] == sent).all())
    for handset, sound in told.spoken.items():
        if handset.line == "desk":
            same = same and _is_cut_of(sound_of(sites, _of(told, handset)["recording"]), sound)
    told.check(_("the export equals what was said, sample for sample"), same)


def _is_cut_of(path: Path, sent: NDArray[np.int16]) -> bool:
    """Whether an exported file is one piece of what a card sent, with all that was loud in it."""
    with wave.open(str(path)) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    whole = np.concatenate([sent, np.zeros(len(heard), np.int16)])  # after its end it is silent
    loud = np.flatnonzero(np.abs(sent.astype(np.int32)) > LOUD)
    probe = int(np.argmax(np.abs(heard.astype(np.int32)) > LOUD))
    for at in np.flatnonzero(whole[: len(whole) - len(heard) + 1 + probe] == heard[probe]):
        first = int(at) - probe
        if 0 <= first <= loud[0] and np.array_equal(whole[first : first + len(heard)], heard):
            return first + len(heard) > int(loud[-1])
    return False


def sound_of(sites: Sites, recording: str) -> Path:
    """Where a recording is exported to."""
    return sites.work / f"{recording}.wav"


def check_office(sites: Sites, told: Told) -> int:
    """Export every recording with head office's key. Returns how many opened. Raises Broken."""

    recordings = [call["recording"] for call in told.calls if call["recording"]]
    for recording in recordings:
        words = ("greffier", "export", recording, "--data", str(sites.device))
        sound = str(sound_of(sites, recording))
        command(*words, *_key(sites), "--format", "wav", "-o", sound)
    told.check(_("head office's key opens every recording"), bool(recordings))
    return len(recordings)


def check_thief(sites: Sites, told: Told) -> int:
    """Try everything but head office's key on every part. Returns how many parts opened."""
    loot = (sites.device, sites.sync, sites.office, sites.broker)
    opened = thief.open_parts(*loot)
    callers = [call["from"] for call in told.calls if call["from"]]
    numbers = thief.find_clear(callers, *loot)
    control = thief.positive_control(
        sites.device, read_private(sites.keys / "office.key", Role.OFFICE)
    )
    held = opened == 0 < control and not numbers
    told.check(
        _("who steals the device, broker and head office's store opens nothing, reads no number"),
        held,
    )
    return opened


def check_tampering(sites: Sites, told: Told) -> bool:
    """Flip one bit in a copy: the export must refuse and the log must show it."""
    copy = sites.work / "tampered"
    shutil.copytree(sites.device, copy)
    part = next((copy / "vault" / "parts").rglob("*.gpart"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    recording = data[36:52].hex()
    out = sites.work / "tampered.wav"
    words = ("greffier", "export", recording, "--data", str(copy), "-o", str(out))
    refused = command(*words, *_key(sites), allowed=range(256))
    report = command("greffier", "audit", "verify", "--data", str(copy), allowed=(20,))
    found = refused["exit"] == 20 and not out.exists() and not report["ok"]
    return told.check(_("one flipped bit in a copy is found, and nothing is written"), found)
