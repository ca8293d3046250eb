"""``greffier-office verify-sampling``: honest days are believed, and each manipulation is found."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.office.in_process import Inside, enrol
from tests.stories.box import PAIR, RETAIL, Box, Said, command

from greffier.audit import segments
from greffier.audit.entry import Entry
from greffier.durable import Disk
from greffier.policy import sampling
from greffier.seal.keys import Keyring
from greffier.trust import load_log_key
from greffier_office import draw_check, place
from greffier_office.draw_result import Result
from greffier_sim import captures, sampling_days, sampling_story
from greffier_sim.hand_box import HandBox
from greffier_sim.sampling_story import DEVICE, Story
from greffier_sim.soak_sampling import Judge

JUDGE = Judge()
REPLAYS = draw_check.replays_of(sampling_story.policies(), sampling_story.PACKS)
SMALL = 25


def checked(story: Story, **given: Any) -> Result:
    options: dict[str, Any] = {
        "opener": Keyring([sampling_story.office()]),
        "names": sampling_story.AGENTS,
        **given,
    }
    log: Sequence[Entry] = story.entries(options.pop("said", None))
    return draw_check.check(DEVICE, log, options.pop("replays", REPLAYS), **options)


def codes(result: Result) -> set[str]:
    return {one.code for one in result.findings}


@pytest.mark.parametrize("seed", range(8))
def test_an_honest_day_is_believed(seed: int) -> None:
    result = checked(sampling_days.live(seed, SMALL))
    assert result.findings == [] and result.unknown == set()
    assert result.state == "authentic"
    value = result.as_json()
    assert value["calls"] == SMALL + SMALL // 8
    json.dumps(value)


def test_every_kind_of_manipulation_is_found() -> None:
    done, missed = JUDGE.defraud(1)
    assert len(done) == 38 and not missed


def test_a_draw_without_its_key_cannot_be_told() -> None:
    story = sampling_days.live(0, SMALL)
    hidden = [
        replace(one, data={name: value for name, value in one.data.items() if name != "key"})
        if one.ev == "epoch.closed"
        else one
        for one in story.said
    ]
    assert checked(story, said=hidden).state == "authentic"  # head office opens its sealed copies
    blind = checked(story, said=hidden, opener=None)
    assert blind.state == "cannot_tell"
    assert any("was not revealed" in one for one in blind.unknown)


def test_a_policy_that_nobody_has_cannot_be_told() -> None:
    story = sampling_days.live(1, SMALL)
    result = checked(story, replays={})
    assert result.state == "cannot_tell"
    assert any(story.policy.sha256 in one for one in result.unknown)


def test_only_who_knows_the_agents_can_tell_their_slots() -> None:
    story = sampling_days.live(3, SMALL)
    assert story.policy.sampling.method == "slots"
    assert checked(story).state == "authentic"
    assert checked(story, names=()).state == "cannot_tell"


def test_who_saw_the_commitment_first_is_told() -> None:
    story = sampling_days.live(0, SMALL)
    log = story.entries()
    drawn = [one for one in log if one.ev == "call.decided"]
    name = max(story.epochs, key=[one.data["epoch"] for one in drawn].count)
    opened = next(one.seq for one in log if one.data.get("epoch") == name)
    last = max(one.seq for one in drawn if one.data["epoch"] == name)
    for size, word in ((opened + 1, "before"), (last, "during"), (last + 1, "after")):
        told = {one.epoch: one for one in checked(story, witnessed={name: size}).epochs}
        assert told[name].witnessed == word
        assert all(one.witnessed == "never" for one in told.values() if one.epoch != name)


def test_one_day_can_be_asked_for() -> None:
    story = sampling_days.live(0, SMALL)
    whole = checked(story)
    day = whole.of_day(story.day)
    assert 0 < day.as_json()["calls"] < whole.as_json()["calls"]
    assert all(one.epoch.startswith(story.day) for one in day.epochs)
    at = next(i for i, one in enumerate(story.said) if one.ev == "call.decided")
    said = list(story.said)
    said[at] = replace(said[at], data={**said[at].data, "u": 1})
    bad = checked(story, said=said)
    assert "draw.other" in codes(bad.of_day(story.day))
    assert bad.of_day("2026-01-01").state == "authentic"


def test_a_call_that_waits_for_room_is_counted_as_a_lost_draw() -> None:
    story = sampling_days.live(2, SMALL)
    at = next(
        i
        for i, one in enumerate(story.said)
        if one.ev == "call.decided" and "SAMPLED_IN" in one.data["codes"] and "used" not in one.data
    )
    said = list(story.said)
    data = {**said[at].data, "record": "none", "codes": ["OVER_CAPACITY"]}
    said[at] = replace(said[at], data=data)
    assert checked(story, said=said).as_json()["lost_draws"] == {"OVER_CAPACITY": 1}


# --- the command, on the log of a real box ---


class Branch:
    """A box that imported calls, and a head office that has its log."""

    def __init__(self, folder: Path) -> None:
        self.box = Box(folder)
        plans = [
            captures.Plan(call_id=f"{number}@sim", start_ns=1_700_000_000_000_000_000 + at)
            for number, at in enumerate((0, 20_000_000_000, 40_000_000_000))
        ]
        wire = captures.in_order([one for plan in plans for one in captures.call(plan)])
        words = ["--policy", RETAIL, "--data", self.box.data, "--line", "vente", "--json"]
        assert command("import-pcap", self.box.capture(wire), *words).code == 0
        key = load_log_key(self.box.data / "keys" / "log.key")
        files = sorted((self.box.data / "audit").glob("entries-*.glog"))
        log = [raw for file in files for _, raw in segments.frames(file.read_bytes())]
        self.hand = HandBox(key, log)
        self.office = place.create(folder / "office", Disk(), time.time_ns())
        self.device = enrol(self.office, key)

    def send(self, log: Sequence[bytes] | None = None) -> None:
        inside = Inside(self.office)
        inside.audit(self.device, self.hand.batch(log=log))
        inside.close()

    def verify(self, *words: object) -> Said:
        told = ("verify-sampling", "--office", self.office.path, "--json", *words)
        return command(*told, program="greffier-office")


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Branch:
    made = Branch(tmp_path_factory.mktemp("branch"))
    made.send()
    return made


def test_the_log_of_a_real_box_is_believed(branch: Branch) -> None:
    said = branch.verify("--key", branch.box.key)
    assert said.code == 0, said.out
    assert said.json["state"] == "authentic" and said.json["calls"] == 3
    (epoch,) = said.json["epochs"]
    assert epoch["key"] == "revealed" and epoch["calls"] == 3
    assert epoch["witnessed"] == "after"  # an import is over before anybody hears of it


def test_the_key_is_not_needed_where_it_is_revealed(branch: Branch) -> None:
    assert branch.verify().code == 0
    assert branch.verify("--device", branch.device, "--day", "2023-11-14").json["calls"] == 3
    assert branch.verify("--day", "2023-11-15").json["calls"] == 0


@pytest.mark.parametrize("words", [("--day", "Monday"), ("--device", "box-none")])
def test_a_wrong_word_is_refused(branch: Branch, words: tuple[str, str]) -> None:
    assert branch.verify(*words).code == 2


def test_what_it_says_to_people_names_the_state(branch: Branch) -> None:
    told = ("verify-sampling", "--office", branch.office.path)
    said = command(*told, program="greffier-office")
    assert said.code == 0 and said.out.splitlines()[0]


def test_a_draw_from_outside_is_found(tmp_path: Path) -> None:
    box = Box(tmp_path)
    plan = captures.Plan(call_id="1@sim", start_ns=1_700_000_000_000_000_000)
    assert box.bring(captures.call(plan), draw=0.0).code == 0
    log = [
        raw
        for file in sorted((box.data / "audit").glob("entries-*.glog"))
        for _, raw in segments.frames(file.read_bytes())
    ]
    key = load_log_key(box.data / "keys" / "log.key")
    office = place.create(tmp_path / "office", Disk(), time.time_ns())
    inside = Inside(office)
    inside.audit(enrol(office, key), HandBox(key, log).batch())
    inside.close()
    told = ("verify-sampling", "--office", office.path, "--json")
    said = command(*told, program="greffier-office")
    assert said.code == 20
    assert {one["code"] for one in said.json["findings"]} == {"draw.fixed"}


def test_the_commitment_of_a_real_epoch_is_sealed_to_head_office(branch: Branch) -> None:
    entries = [json.loads(raw) for raw in branch.hand.log]
    opened = next(one["data"] for one in entries if one["ev"] == "epoch.opened")
    closed = next(one["data"] for one in entries if one["ev"] == "epoch.closed")
    assert opened["office_key"] == PAIR.public.key_id.hex()
    assert sampling.commit(opened["epoch"], bytes.fromhex(closed["key"])) == opened["commit"]
