"""What of a call is kept, from which sample on, and which codes say why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import (
    DESK,
    PACKS,
    RETAIL,
    SDIS,
    Box,
    coded,
    command,
    loaded,
    payloads,
    policy_with,
)

from greffier.capture.datagram import Datagram
from greffier.policy.decision import Facts, decide, settle_ended
from greffier.policy.facts import PENDING
from greffier.policy.sampling import draw
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier_sim import captures
from greffier_sim.captures import MS, Plan, rtp, tagged

PLAN = Plan(ring_ms=400, talk_ms=400)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def early(plan: Plan, *, until_ms: int = 400, step_ms: int = 20) -> list[Datagram]:
    """Sound of the called side from 50 ms after the INVITE on, before anybody answered.

    Its last packet arrives 5 ms before the answer, so that most of its samples *lie* behind it.
    """
    first = until_ms - 5 - step_ms * ((until_ms - 55) // step_ms)
    out = []
    for index, at in enumerate(range(first, until_ms, step_ms)):
        payload = tagged(plan.call_id, "early", index)
        packet = rtp(1_000 + index, index * 160, plan.callee_ssrc, payload)
        time_ns = plan.start_ns + at * MS
        out.append(Datagram(time_ns, plan.callee_media, plan.caller_media, packet))
    return out


def ringing(plan: Plan) -> Datagram:
    body = captures.offer(plan, "callee")
    return captures.response(plan, plan.start_ns + 30 * MS, 183, "1 INVITE", body=body)


def later(plan: Plan, begun: list[Datagram]) -> list[Datagram]:
    """The called side's speech after the answer, going on with the numbers of *begun*."""
    count = len(begun)
    out = []
    for index in range(plan.talk_ms // 20):
        payload = tagged(plan.call_id, "late", index)
        stamp = (count + index) * 160
        packet = rtp(1_000 + count + index, stamp, plan.callee_ssrc, payload)
        time_ns = plan.answer_ns + (15 + 20 * index) * MS
        out.append(Datagram(time_ns, plan.callee_media, plan.caller_media, packet))
    return out


def with_early_media(plan: Plan = PLAN) -> list[Datagram]:
    begun = early(plan)
    rest = captures.opening(plan) + captures.speech(plan, "caller") + captures.closing(plan)
    return captures.in_order([*rest, ringing(plan), *begun, *later(plan, begun)])


def kept(box: Box) -> bytes:
    return b"".join(payloads(box.opened()))


def test_a_voluntary_recording_holds_no_early_media(box: Box) -> None:
    call = box.call(with_early_media(), policy=coded(box.folder, "original"))
    assert call["record"] == "full" and call["accounted"]["lost"] == 0
    heard = payloads(box.opened())
    assert sum(b"/late/" in one for one in heard) == 20
    assert b"early" not in b"".join(heard)
    assert call["accounted"]["not_recorded"] == len(early(PLAN))


def test_a_duty_holds_early_media_from_the_onset(box: Box) -> None:
    call = box.call(with_early_media(), "desk", DESK)
    assert call["codes"] == ["MANDATORY_MIFID"]
    whole = kept(box)
    for one in early(PLAN):
        assert one.payload[12:] in whole
    assert call["accounted"]["recorded"] == call["accounted"]["received"]


def test_voluntary_purposes_beside_a_duty_still_begin_at_the_answer(box: Box) -> None:
    policy = policy_with(
        box.folder,
        DESK,
        ('purposes = ["regulatory"]\ninternal = true', 'purposes = ["regulatory", "quality"]'),
        ("rate = 0.0 ", "rate = 0.2 "),
        ("regulatory = 1827 ", "quality = 89\nregulatory = 1827 "),
    )
    call = box.call(with_early_media(), "desk", policy, facts="consent=in")
    assert {"MANDATORY_MIFID", "SAMPLED_IN"} <= set(call["codes"])
    parts = box.opened()
    purposes = [sorted(part.header.meta["purposes"]) for part in parts]
    assert purposes == [["regulatory"], ["quality"]]
    assert b"early" in b"".join(payloads(parts[:1]))
    assert b"early" not in b"".join(payloads(parts[1:]))


@pytest.mark.parametrize(("ending", "status"), [("cancel", 487), ("busy", 486)])
def test_an_unanswered_voluntary_call_keeps_nothing(box: Box, ending: str, status: int) -> None:
    plan = PLAN
    begun = [ringing(plan), *early(plan)]
    asked = captures.request(plan, plan.start_ns, "INVITE", 1, to_tag=False,
                             body=captures.offer(plan, "caller"))  # fmt: skip
    end = [captures.response(plan, plan.answer_ns, status, "1 INVITE")]
    if ending == "cancel":
        end.insert(0, captures.request(plan, plan.answer_ns - MS, "CANCEL", 1, to_tag=False))
    call = box.call(captures.in_order([asked, *begun, *end]))
    assert (call["record"], call["codes"], call["recording"]) == ("none", ["ANNOUNCE_FAILED"], None)
    assert call["answered"] is None and box.parts == []
    facts = Facts(announce=PENDING)
    assert call["codes"] == list(settle_ended(loaded(RETAIL), PACKS, "vente", facts).codes)


def test_an_unanswered_call_that_needs_consent_lacks_it(box: Box) -> None:
    plan = PLAN
    asked = [*captures.opening(plan)[:3], captures.response(plan, plan.answer_ns, 486, "1 INVITE")]
    call = box.call(asked, facts="announce=ok consumer=DE consent=in t_notice_end=0")
    assert call["record"] == "none"
    assert "ANNOUNCE_FAILED" in call["codes"] or "CONSENT_MISSING" in call["codes"]


FACTS: list[tuple[str, Path, str]] = [
    ("accueil", RETAIL, "dir=int"),
    ("accueil", RETAIL, "private=true"),
    ("accueil", RETAIL, "announce=fail"),
    ("accueil", RETAIL, "consent=out"),
    ("accueil", RETAIL, "consent=out after_start=true"),
    ("accueil", RETAIL, "quota_used=12"),
    ("accueil", RETAIL, "missing=works_council_ref"),
    ("accueil", RETAIL, "consumer=DE"),
    ("accueil", RETAIL, "consumer=DE consent=in"),
    ("accueil", RETAIL, "consumer=BE"),
    ("vente", RETAIL, "proof=true contract=oral"),
    ("vente", RETAIL, "proof=true contract=written"),
    ("vente", RETAIL, "threat=true consent=out"),
    ("vente", RETAIL, "card=true"),
    ("fax", RETAIL, ""),
    ("desk", DESK, "mifid=yes"),
    ("desk", DESK, "mifid=yes consent=out"),
    ("desk", DESK, "mifid=yes announce=fail"),
    ("desk", DESK, "mifid=yes healthy=false"),
    ("desk", DESK, "mifid=no contract_notice=true"),
    ("conseil", DESK, "contract_notice=true"),
    ("conseil", DESK, "contract_notice=true mifid=no"),
    ("l18", SDIS, ""),
    ("l18", SDIS, "transfer=15"),
    ("l18", SDIS, "card=true"),
    ("l99", SDIS, ""),
]


@pytest.mark.parametrize("line_policy_facts", FACTS, ids=lambda one: f"{one[0]}-{one[2]}")
def test_an_answered_call_has_the_codes_that_the_rules_give(
    box: Box, line_policy_facts: tuple[str, Path, str]
) -> None:
    line, policy, words = line_policy_facts
    call = box.call(captures.call(replace(PLAN, ring_ms=40, talk_ms=60)), line, policy, facts=words)
    site = loaded(policy)
    known = Facts.from_words(words.split())
    known = replace(known, consumer=known.consumer or "FR", u=0.0, t_start=PLAN.start_ns)
    verdict = decide(site, PACKS, line, known)
    assert set(call["codes"]) == set(verdict.codes)
    assert call["record"] == verdict.record
    purposes = {name for part in box.opened() for name in part.header.meta["purposes"]}
    if verdict.pause == "-" and "healthy=false" not in words:
        assert purposes == set(verdict.purposes)
    for part in box.opened():
        for name, days in part.header.meta["purposes"].items():
            assert tuple(days) == verdict.purposes[name]
    assert (call["recording"] is None) == (not box.parts)
    assert box.verified()["ok"]


def test_evidence_and_quality_are_parts_of_one_recording(box: Box) -> None:
    """Two parts over the same sound, each with its own purposes and its own first sample."""
    policy = coded(box.folder, "original")
    proof = PLAN.answer_ns + 200 * MS
    words = f"proof=true contract=oral t_proof={proof}"
    call = box.call(with_early_media(), policy=policy, facts=words)
    assert set(call["codes"]) == {"SAMPLED_IN", "EVIDENCE_SEGMENT"}
    quality, evidence = box.opened()
    assert sorted(quality.header.meta["purposes"]) == ["quality", "training"]
    assert evidence.header.meta["purposes"] == {"evidence": [0, 365]}
    assert quality.header.recording_id == evidence.header.recording_id
    assert evidence.header.meta["previous"] == quality.header.commitment.hex()
    every, some = payloads([quality]), payloads([evidence])
    assert len(every) == 40 and 18 <= len(some) < 23
    whole = b"".join(every)
    assert all(one in whole for one in some)
    for leg in evidence.legs.values():
        assert min(one.position for one in leg.packets) >= 600 * 8
    pcm, _ = box.sound(call["recording"])
    only, _ = box.sound(call["recording"], "--purpose", "evidence", "--by", "x")
    # A packet that arrived before the proof was spoken before it, though its end lies behind it.
    assert (pcm[len(pcm) - len(only) + 160 :] == only[160:]).all()


@pytest.mark.parametrize("words", ["proof=true contract=oral", "threat=true"])
def test_a_part_from_an_instant_on_never_begins_before_the_answer(box: Box, words: str) -> None:
    box.call(with_early_media(), policy=coded(box.folder, "original"), facts=words, draw=0.9)
    (part,) = box.opened()
    assert b"early" not in b"".join(payloads([part]))
    assert int(part.header.meta["created_ns"]) >= PLAN.answer_ns


def test_a_proof_that_never_came_makes_no_part(box: Box) -> None:
    words = f"proof=true contract=oral t_proof={PLAN.end_ns + 60_000 * MS}"
    call = box.call(captures.call(PLAN), facts=words, draw=0.9)
    assert call["recording"] is None and box.parts == []


def test_card_data_mutes_all_of_a_voluntary_call(box: Box) -> None:
    call = box.call(with_early_media(), policy=coded(box.folder, "original"), facts="card=true")
    assert "PAUSE_SAD" in call["codes"] and call["accounted"]["recorded"] == 0
    assert not any(payloads(box.opened()))
    assert call["accounted"]["masked"] >= 40
    (line,) = coverage(box)
    assert line["seconds"]["paused"] > 0.3 and line["seconds"]["recorded"] == 0


def test_card_data_mutes_the_outside_leg_of_a_duty(box: Box) -> None:
    call = box.call(captures.call(PLAN), "desk", DESK, facts="card=true")
    assert {"PAUSE_SAD", "GAP_LOGGED"} <= set(call["codes"])
    whole = kept(box)
    assert b"/callee/" in whole and b"/caller/" not in whole
    (part,) = box.opened()
    muted = [leg for leg in part.legs.values() if leg.table["side"] == "caller"]
    assert [len(leg.masks) for leg in muted] == [1] and not muted[0].packets
    assert muted[0].masks[0].reason == "card"
    assert muted[0].masks[0].end - muted[0].masks[0].start == 400 * 8
    pcm, _ = box.sound(call["recording"])
    assert pcm.shape == (400 * 8, 2)  # silence of the same length, not a missing channel
    assert sum(bool(channel.any()) for channel in pcm.T) == 1


def test_a_mixed_line_that_was_no_order_keeps_nothing(box: Box) -> None:
    call = box.call(captures.call(PLAN), "conseil", DESK, facts="mifid=no")
    assert (call["record"], call["recording"]) == ("provisional_deleted", None)
    assert box.parts == []


def test_a_never_record_line_leaves_no_trace(box: Box) -> None:
    before = len(box.entries())
    calls = [replace(PLAN, call_id=f"secret-call-{n}@sim", start_ns=PLAN.start_ns + n * 10**10)
             for n in range(2)]  # fmt: skip
    every = captures.in_order([one for plan in calls for one in captures.call(plan)])
    for line, policy in (("cse", RETAIL), ("perso", DESK)):
        answered = box.calls(every, line, policy)
        assert [call["call_id"] for call in answered] == [plan.call_id for plan in calls]
        for call in answered:
            assert (call["from"], call["to"], call["start"], call["duration_s"]) == (None,) * 4
            assert (call["legs"], call["codes"], call["record"]) == ([], ["NEVER_RECORD"], "none")
            assert call["recording"] is None and "number" not in call
    assert box.listed() == [] and box.parts == [] and coverage(box) == []
    said = [entry.ev for entry in box.entries()[before:]]
    assert sorted(set(said)) == ["epoch.closed", "epoch.opened", "line.not_recorded",
                                 "policy.adopted"]  # fmt: skip
    for path, content in box.contents().items():
        for secret in ("secret-call", PLAN.from_number[1:], PLAN.to_number[1:], "10.0.0.1:4000"):
            for coding in ("utf-8", "utf-16-le", "utf-16-be"):
                assert secret.encode(coding) not in content, path
    assert box.verified()["ok"]


def test_a_policy_that_covers_nothing_lists_every_call(box: Box) -> None:
    calls = box.calls(captures.call(PLAN), "nowhere")
    assert [call["codes"] for call in calls] == [["LINE_UNCONFIGURED"]]
    assert calls[0]["from"] == PLAN.from_number and calls[0]["legs"]


@pytest.mark.parametrize(
    ("policy", "record", "result"),
    [(RETAIL, "none", "ok"), (DESK, "none", "blocked"), (SDIS, "cont", "ok")],
)
def test_an_unknown_line_follows_the_fail_mode(
    box: Box, policy: Path, record: str, result: str
) -> None:
    call = box.call(captures.call(PLAN), "unheard-of", policy)
    assert (call["record"], call["result"]) == (record, result)
    assert bool(box.parts) == (record == "cont")


def test_numbers_have_no_gaps_over_imports_and_lines(box: Box) -> None:
    numbers: dict[str, list[str]] = {"accueil": [], "vente": [], "cse": []}
    for turn, line in enumerate(["accueil", "vente", "cse", "accueil", "vente", "accueil"]):
        plans = [
            replace(PLAN, call_id=f"{turn}-{n}", start_ns=PLAN.start_ns + n * 10**10, talk_ms=40)
            for n in range(2)
        ]
        every = captures.in_order([one for plan in plans for one in captures.call(plan)])
        numbers[line] += [call.get("number", "") for call in box.calls(every, line)]
    assert set(numbers["cse"]) == {""}
    for line, count in (("accueil", 6), ("vente", 4)):
        assert numbers[line] == [f"{box.device}/{line}/{n:010d}" for n in range(1, count + 1)]


def test_draws_are_those_that_head_office_computes(box: Box) -> None:
    plans = [
        replace(PLAN, call_id=f"c{n}", start_ns=PLAN.start_ns + n * 10**10, talk_ms=20)
        for n in range(20)
    ]
    every = captures.in_order([one for plan in plans for one in captures.call(plan)])
    calls = box.calls(every, "accueil", draw=None)
    opened = {entry.data["epoch"]: entry.data for entry in box.entries()
              if entry.ev == "epoch.opened"}  # fmt: skip
    decided = [entry.data for entry in box.entries() if entry.ev == "call.decided"]
    assert [one["uid"] for one in decided] == [call["number"] for call in calls]
    for one, call in zip(decided, calls, strict=True):
        epoch = opened[one["epoch"]]
        block = bytes.fromhex(epoch["sampling"])
        identity = envelope.epoch_id(one["epoch"])
        key = envelope.open_block(block, What.SAMPLING, identity, box.private)
        assert one["u"] == draw(key, one["stratum"], one["uid"]).numerator
        assert one["stratum"] == "accueil/in"
        assert ("SAMPLED_IN" in call["codes"]) == (one["u"] / 2**53 < 0.2)


def test_a_given_draw_stands_in_the_decision_record(box: Box) -> None:
    call = box.call(captures.call(PLAN), draw=None, facts="u=0.75")
    assert call["codes"] == ["SAMPLED_OUT"]
    (decided,) = [entry for entry in box.entries() if entry.ev == "call.decided"]
    assert decided.data["u"] == 3 << 51


def coverage(box: Box) -> Any:
    said = command("coverage", "--data", box.data, "--json")
    assert said.json["accounted"] == 1.0
    return said.json["channels"]
