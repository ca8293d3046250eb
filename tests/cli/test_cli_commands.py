"""Each command's answer has the shape that scripts rely on; each refusal is one line and a code."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import DESK, RETAIL, SAMPLES, Box, coded, command, needs_samples

from greffier.capture.pcap import open_capture
from greffier.durable import Disk
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout
from greffier_sim import captures, packets
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=200)
CALL = {
    "call_id": str,
    "from": str,
    "to": str,
    "start": str,
    "duration_s": float,
    "result": str,
    "record": str,
    "codes": list,
    "recording": str,
    "legs": list,
}
LEG = {
    "source": str,
    "destination": str,
    "codec": str,
    "ssrc": str,
    "packets": int,
    "lost": int,
    "duplicates": int,
    "reordered": int,
    "seconds": float,
    "dtmf_events": int,
}
PART = {
    "part": str,
    "purposes": dict,
    "min_until": str,
    "max_until": str,
    "holds": list,
    "synced": bool,
}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def has(value: Any, shape: dict[str, type]) -> None:
    for key, kind in shape.items():
        assert isinstance(value[key], kind), (key, value[key])


def test_import_prints_every_call_and_leg(box: Box) -> None:
    said = box.bring(captures.call(PLAN))
    has(said.json, {"packets": int, "ignored": int, "elapsed_s": float, "calls": list})
    assert said.json["packets"] == 27
    (call,) = said.json["calls"]
    has(call, CALL)
    assert call["start"] == "2023-11-14T23:13:20.000000+01:00"  # the policy's own time
    assert call["duration_s"] == 0.31
    assert len(call["legs"]) == 2
    for leg in call["legs"]:
        has(leg, LEG)
        assert (leg["packets"], leg["seconds"], leg["codec"]) == (10, 0.2, "PCMA")
    assert call["legs"][0]["ssrc"] == "0x11111111"
    assert call["legs"][0]["source"] == "10.0.0.1:4000"


def test_calls_says_the_same_with_and_without_the_key(box: Box) -> None:
    imported = box.call(captures.call(PLAN))
    (shown,) = box.listed("--key", box.key)
    assert {key: shown[key] for key in imported} == imported
    has(shown, {"line": str, "parts": list})
    for part in shown["parts"]:
        has(part, PART)
        assert part["purposes"] == {"quality": [0, 89], "training": [0, 89]}
        assert part["min_until"] == "2023-11-14T22:13:20+00:00"
        assert part["max_until"] == "2024-02-11T22:13:20+00:00"
    (hidden,) = box.listed()
    assert (hidden["from"], hidden["to"]) == (None, None)
    assert {key: hidden[key] for key in hidden if key not in ("from", "to", "call_id")} == {
        key: shown[key] for key in shown if key not in ("from", "to", "call_id")
    }


def test_a_call_id_that_repeats_a_number_is_not_shown_without_the_key(box: Box) -> None:
    box.call(captures.call(replace(PLAN, call_id=f"{PLAN.from_number}-77@sim")))
    assert box.listed()[0]["call_id"] is None
    assert PLAN.from_number in box.listed("--key", box.key)[0]["call_id"]


def test_another_key_opens_no_metadata(box: Box) -> None:
    box.call(captures.call(PLAN))
    said = command("calls", "--data", box.data, "--key", other_key(box), "--json")
    assert said.code == 12
    assert said.complaint and not said.out


def other_key(box: Box, role: Role = Role.OFFICE) -> Path:
    path = box.folder / f"other-{role.name}.key"
    if not path.exists():
        path.write_text(keys.generate(role).format())
    return path


def test_coverage_accounts_for_every_second(box: Box) -> None:
    box.call(captures.call(PLAN), draw=0.9)
    said = command("coverage", "--data", box.data, "--json", "--line", "vente")
    (channel,) = said.json["channels"]
    assert said.json["accounted"] == 1.0
    has(channel, {"line": str, "channel": str, "from": str, "to": str, "seconds": dict})
    states = {"recorded", "idle", "not_recorded", "paused", "lost", "blind", "off"}
    assert set(channel["seconds"]) == states
    assert channel["seconds"]["not_recorded"] == {"SAMPLED_OUT": 0.31}
    nothing = command("coverage", "--data", box.data, "--json", "--line", "other")
    assert nothing.json["channels"] == []


def test_audit_verify_and_rebuild(box: Box) -> None:
    box.call(captures.call(PLAN))
    found = box.verified()
    has(found, {"ok": bool, "entries": int, "size": int, "root": str, "cosigned_size": int,
                "problems": list})  # fmt: skip
    assert found["ok"] and found["entries"] == found["size"] > 5
    before = box.listed("--key", box.key)
    for step in ("again", "after it was lost", "after it was damaged"):
        if step != "again":
            for path in box.data.glob("index.sqlite*"):
                path.unlink()
        if "damaged" in step:
            (box.data / "index.sqlite").write_bytes(b"no database" * 1000)
        said = command("index", "rebuild", "--data", box.data, "--json")
        assert said.code == 0, said.err
        assert said.json["recordings"] == 1
        assert box.listed("--key", box.key) == before, step


def test_a_lost_index_is_made_anew_by_whoever_needs_it(box: Box) -> None:
    box.call(captures.call(PLAN))
    before = box.listed()
    for path in box.data.glob("index.sqlite*"):
        path.unlink()
    assert box.listed() == before


def test_export_says_what_it_wrote(box: Box) -> None:
    call = box.call(captures.call(PLAN))
    path = box.folder / "out.wav"
    said = box.export(call["recording"], path)
    has(said.json, {"recording": str, "output": str, "seconds": float, "rate": int, "legs": int})
    assert (said.json["legs"], said.json["rate"]) == (2, 8_000)
    again = box.export(call["recording"], path)
    assert again.code == 1 and again.complaint


BY = "Jeanne Dupont 0612345678"


def test_every_export_is_in_the_log_before_and_without_a_name(box: Box) -> None:
    call = box.call(captures.call(PLAN))
    box.exported(call["recording"], "--purpose", "quality", "--by", BY)
    assert box.export("0" * 32, box.folder / "x.wav").code == 1
    box.export(call["recording"], box.folder / "y.wav", "--key", other_key(box))
    entries = [entry for entry in box.entries() if entry.ev == "export"]
    assert [one.data.get("outcome") for one in entries] == [None, None, "wrong_key"]
    assert entries[1].data["key"] == entries[2].data["key"] != entries[0].data["key"]
    assert entries[0].data["purpose"] == "quality" and len(entries[0].data["by"]) == 32
    guessed = {hashlib.sha256(name.encode()).hexdigest()[:32] for name in ("Jeanne", BY)}
    assert entries[0].data["by"] not in guessed
    assert all(b"Dupont" not in content for content in box.contents().values())
    assert box.verified()["ok"]


def test_a_failed_export_is_in_the_log_with_its_reason(box: Box) -> None:
    call = box.call(captures.call(PLAN))
    (part,) = box.parts
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert box.export(call["recording"], box.folder / "x.wav").code == 20
    part.write_bytes(content)
    found = [entry.data.get("outcome") for entry in box.entries() if entry.ev == "export"]
    assert found == [None, "altered"]
    said = box.export(call["recording"], box.folder / "x.wav", "--purpose", "0612345678")
    assert said.code == 1 and said.complaint
    assert box.verified()["ok"]


def test_init_and_keygen(tmp_path: Path) -> None:
    made = command("keygen", "-o", tmp_path / "keys", "--json", program="greffier-office")
    has(made.json, {"key": str, "public": str, "key_id": str})
    secret = tmp_path / "keys" / "office.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    again = command("keygen", "-o", tmp_path / "keys", "--json", program="greffier-office")
    assert again.code == 1 and again.complaint
    public = tmp_path / "keys" / "office.pub"
    words = ("init", "--data", tmp_path / "d", "--office-key")
    refused = command(*words, secret)
    assert refused.code == 12 and refused.complaint and not (tmp_path / "d").exists()
    said = command(*words, public, "--json")
    has(said.json, {"device": str, "log_key": str, "office_key": str})
    assert said.json["office_key"] == made.json["key_id"]
    assert command(*words, public).code == 1
    assert secret.read_bytes() not in b"".join(
        path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file()
    )


def test_an_import_into_nothing_makes_a_device_with_a_key_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(packets.pcap(packets.frames_of(captures.call(PLAN))))
    words = ("import-pcap", path, "--policy", RETAIL, "--line", "vente", "--draw", "0")
    for data in (tmp_path / "new", tmp_path / "empty"):
        if data.name == "empty":
            data.mkdir()
        said = command(*words, "--data", data, "--json", "--facts", "window=true")
        assert said.code == 0, said.err
        recording = said.json["calls"][0]["recording"]
        key = data / "dev-office.key"
        out = tmp_path / f"{data.name}.wav"
        base = ("export", recording, "--data", data, "--key", key, "-o", out)
        assert command(*base, "--format", "wav").code == 0
        assert key.stat().st_mode & 0o777 == 0o600
        assert said.err.splitlines()[-1].count(str(key)) == 1  # it opens everything: that is said


def test_a_trial_that_was_interrupted_goes_on_with_its_key(tmp_path: Path) -> None:
    path, data = tmp_path / "c.pcap", tmp_path / "data"
    path.write_bytes(packets.pcap(packets.frames_of(captures.call(PLAN))))
    data.mkdir()
    key = data / "dev-office.key"
    key.write_text(keys.generate(Role.OFFICE).format())
    content = key.read_bytes()
    words = ("import-pcap", path, "--policy", RETAIL, "--line", "vente", "--data", data)
    assert command(*words).code == 0
    assert key.read_bytes() == content
    assert command("calls", "--data", data, "--key", key).code == 0


# --- refusals ---


def test_wrong_words_are_usage(box: Box) -> None:
    capture = box.capture(captures.call(PLAN))
    base = ["import-pcap", capture, "--data", box.data, "--policy", RETAIL]
    wrong: list[list[object]] = [
        ["no-such-command"],
        ["import-pcap"],
        [*base, "--no-such-option"],
        [*base, "--draw", "1.5"],
        [*base, "--draw", "nan"],
        [*base, "--draw", "often"],
        [*base, "--facts", "window"],
        [*base, "--facts", "no_such_fact=1"],
        [*base, "--facts", "window=perhaps"],
        [*base, "stray"],
        [*base, "--line", "0612345678"],
        [*base, "--line", "a/b"],
        [*base, "--line", ""],
        [*base, "--lang", "de"],
        [*base, "--lang"],
        ["coverage", "--data", box.data, "--from", "yesterday"],
        ["calls"],
        ["audit"],
        ["audit", "forget"],
        ["export", "0" * 32, "--data", box.data, "--key", box.key, "--format", "mp3", "-o", "x"],
    ]
    before = box.contents()
    for words in wrong:
        said = command(*words)
        assert said.code == 2, words
        assert words == ["audit"] or said.complaint, words
    assert box.contents() == before


@pytest.mark.parametrize("limits", [("nan", "1"), ("-1", "1"), ("1e400", None), ("5", "3")])
def test_times_that_are_none(box: Box, limits: tuple[str, str | None]) -> None:
    call = box.call(captures.call(PLAN))
    words = ["--from", limits[0]] + (["--to", limits[1]] if limits[1] else [])
    said = box.export(call["recording"], box.folder / "x.wav", *words)
    assert said.code == 2 and said.complaint
    assert not (box.folder / "x.wav").exists()


def test_what_is_no_policy_is_usage(box: Box) -> None:
    capture = box.capture(captures.call(PLAN))
    wrong = box.folder / "wrong.toml"
    wrong.write_text("schema = 'callpolicy/1'\nrate = 3\n")
    for policy in (wrong, box.folder / "missing.toml", box.folder, capture):
        said = box.bring(capture, policy=policy)
        assert said.code == 2 and said.complaint
    assert box.entries()[-1].ev == "device.created"


def test_what_is_no_capture_fails_before_anything_is_made(tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("no capture")
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(b"")
    for path in (text, empty, tmp_path, tmp_path / "missing.pcap", Path("/dev/null")):
        words = ("import-pcap", path, "--policy", RETAIL, "--data", tmp_path / "data")
        said = command(*words, "--json")
        assert said.code == 1 and said.complaint and not said.out, path
    assert not (tmp_path / "data").exists()


def test_a_cut_capture_gives_what_it_has(box: Box) -> None:
    capture = box.capture(captures.call(PLAN))
    capture.write_bytes(capture.read_bytes()[:-37])
    said = box.bring(capture)
    assert said.code == 0 and said.json["damage"] and len(said.json["calls"]) == 1


def test_times_beyond_the_calendar_are_no_crash(box: Box) -> None:
    frames = packets.frames_of(captures.call(PLAN))
    path = box.folder / "far.pcapng"
    for time_ns in (0, 1, (1 << 63) - 1, (1 << 64) - 10**10):
        moved = [(time_ns + at - frames[0][0], data) for at, data in frames]
        path.write_bytes(packets.pcapng([(max(at, 0), data) for at, data in moved]))
        said = box.bring(path)
        assert said.code in (0, 1), (time_ns, said.err)
        if said.code == 1:
            assert "program" not in said.complaint
        with open_capture(path) as reader:
            assert list(reader)
    assert box.verified()["ok"]


def test_what_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    for data in (tmp_path / "missing", tmp_path / "full", tmp_path / "full" / "letter.txt"):
        for words in (
            ("calls",),
            ("coverage",),
            ("audit", "verify"),
            ("index", "rebuild"),
        ):
            said = command(*words, "--data", data, "--json")
            assert said.code == 1 and said.complaint and not said.out, (words, data)
    capture = tmp_path / "c.pcap"
    capture.write_bytes(packets.pcap(packets.frames_of(captures.call(PLAN))))
    for data in (tmp_path / "full", tmp_path / "full" / "letter.txt"):
        said = command("import-pcap", capture, "--policy", RETAIL, "--data", data)
        assert said.code == 1 and said.complaint
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c.pcap", "full", "letter.txt"]


def test_keys_that_do_not_open(box: Box) -> None:
    call = box.call(captures.call(PLAN))
    out = box.folder / "x.wav"
    junk = box.folder / "junk.key"
    junk.write_text("greffier-office-key-1:AAAA\n")
    wrong = [
        other_key(box),
        junk,
        box.folder / "missing.key",
        box.data / "keys" / "office.pub",
        box.data / "keys" / "log.key",
    ]
    for key in wrong:
        said = box.export(call["recording"], out, "--key", key)
        assert said.code == 12 and said.complaint, key
        assert not out.exists()


def test_a_recording_that_is_none(box: Box) -> None:
    box.call(captures.call(PLAN))
    for name in ("0" * 32, "", "../../etc/passwd", "é" * 40):
        said = box.export(name, box.folder / "x.wav")
        assert said.code == 1 and said.complaint, name


def test_a_busy_directory(box: Box) -> None:
    capture = box.capture(captures.call(PLAN))
    with layout.open(box.data).lock(Disk()):
        assert box.bring(capture).code == 11
        for words in (("calls",), ("index", "rebuild")):
            said = command(*words, "--data", box.data)
            assert said.code == 11 and said.complaint
        said = box.export("0" * 32, box.folder / "x.wav")
        assert said.code == 11


def test_help_and_text_answers(box: Box) -> None:
    box.call(captures.call(PLAN), policy=coded(box.folder, "original"))
    box.call(captures.call(replace(PLAN, call_id="never")), "cse")
    for words in (
        ("calls", "--data", box.data, "--key", box.key),
        ("coverage", "--data", box.data),
        ("audit", "verify", "--data", box.data),
        ("index", "rebuild", "--data", box.data),
        ("import-pcap", box.capture([]), "--policy", RETAIL, "--data", box.data),
        ("import-pcap", box.capture(captures.call(PLAN)), "--policy", DESK, "--line", "perso",
         "--data", box.data),
    ):  # fmt: skip
        said = command(*words)
        assert said.code == 0 and said.out.strip(), said.err
        helped = command(*words[: 2 if words[0] in ("audit", "index") else 1], "--help")
        assert helped.code == 0 and "--data" in helped.out


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize(("language", "word"), [("en", "is not"), ("fr", "n’est pas")])
def test_the_language_is_chosen_anywhere(
    tmp_path: Path, language: str, word: str, place: int
) -> None:
    words = ["calls", "--data", str(tmp_path)]
    words[place:place] = ["--lang", language] if place else [f"--lang={language}"]
    said = script(*words)
    assert said.returncode == 1
    assert word in said.stderr.replace("'", "’")
    assert len(said.stderr.splitlines()) == 1


def test_french_is_spoken_unless_asked_otherwise(tmp_path: Path) -> None:
    assert "n’est pas" in script("calls", "--data", str(tmp_path)).stderr.replace("'", "’")
    helped = script("--help").stdout
    assert ("Usage" in helped and "Importe" in helped) or "Enregistre" in helped


def test_a_reader_that_goes_away_is_no_error_of_ours(box: Box) -> None:
    program = [sys.executable, "-c", "from greffier.cli.main import main; main()"]
    with subprocess.Popen(
        [*program, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors


def script(*words: str) -> subprocess.CompletedProcess[str]:
    """The installed program, as a person calls it."""
    environment = {key: value for key, value in os.environ.items() if key not in ("LANG", "LC_ALL")}
    return subprocess.run(
        [Path(sys.executable).parent / "greffier", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )


@needs_samples
def test_real_captures_have_the_streams_that_wireshark_sees(box: Box) -> None:
    expected = json.loads((SAMPLES / "pcap" / "expected.json").read_text())
    for one in expected["files"]:
        said = box.bring(SAMPLES / "pcap" / one["file"], "accueil")
        assert said.code == 0 and said.json["packets"] == one["packets"]
        calls = said.json["calls"]
        assert sum(call["call_id"] is not None for call in calls) == one["sip_dialogs_with_invite"]
        answered = [call for call in calls if call["call_id"] and call["answered"]]
        assert len(answered) == one["sip_answered"]
        legs = [leg for call in calls for leg in call["legs"]]
        found = sorted((leg["ssrc"], leg["source"], leg["destination"], leg["packets"],
                        leg["lost"]) for leg in legs)  # fmt: skip
        wanted = sorted((rtp["ssrc"], rtp["source"], rtp["destination"], rtp["packets"],
                         rtp["lost"]) for rtp in one["rtp"])  # fmt: skip
        assert found == wanted, one["file"]
        by_ssrc = {leg["ssrc"]: leg for leg in legs}
        for rtp in one["rtp"]:
            leg = by_ssrc[rtp["ssrc"]]
            assert 0 <= leg["seconds"] - rtp["seconds"] < 0.04
            assert leg["codec"] == {"g711A": "PCMA", "g711U": "PCMU", "g722": "G722"}.get(
                rtp["payload"], rtp["payload"]
            )
    assert box.verified()["ok"]


@needs_samples
def test_torture_messages_lose_no_neighbour(box: Box) -> None:
    strange = sorted((SAMPLES / "rfc4475").glob("*.dat"))
    assert len(strange) > 20
    plans, every = [], []
    for number, path in enumerate(strange):
        start = PLAN.start_ns + number * 2 * 10**9
        plans.append(replace(PLAN, call_id=f"good-{number}@sim", start_ns=start))
        every += captures.call(plans[-1])
        for at in (-1, 150, 250):
            every.append(captures.sent(PLAN, start + at * captures.MS, "caller", path.read_bytes()))
    calls = box.calls(captures.in_order(every), policy=coded(box.folder, "original"))
    good = {call["call_id"]: call for call in calls}
    for plan in plans:
        call = good[plan.call_id]
        assert (call["result"], call["record"], len(call["legs"])) == ("ok", "full", 2)
        assert all(leg["packets"] == 10 and not leg["lost"] for leg in call["legs"])
        assert box.sound(call["recording"])[0].shape == (1_600, 2)
    assert box.verified()["ok"]


def test_a_name_that_a_caller_chose_moves_nothing_on_the_screen(box: Box) -> None:
    evil = b"%1b%5b2J%0d%0a2023%20forged%20row%c2%9b31m%e2%80%ae%00"
    calls = [
        one._replace(payload=one.payload.replace(PLAN.from_number.encode(), evil))
        for one in captures.call(PLAN)
    ]
    said = box.bring(calls)
    assert said.code == 0 and said.out[:-1].isprintable()
    assert said.json["calls"][0]["from"].startswith("\x1b[2J\r\n2023 forged")
    for words in (("calls", "--data", box.data, "--key", box.key), ("calls", "--data", box.data)):
        table = command(*words)
        assert len(table.out.splitlines()) == 2
        assert table.out.replace("\n", "").isprintable()
    path = box.data / "audit" / "x\x1b[2J\n\udcff"
    path.write_bytes(b"")
    shown = command("audit", "verify", "--data", box.data)
    assert shown.code == 20 and "file.unknown" in shown.out
    (line,) = [line for line in shown.out.splitlines() if "file.unknown" in line]
    assert line.isprintable() and "x\\u001b[2J\\u000a\\udcff" in line
