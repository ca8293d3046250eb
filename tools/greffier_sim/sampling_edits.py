"""Small changes to a log: :mod:`greffier_sim.sampling_frauds` are made of them."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from greffier_sim.sampling_story import Said, Story


def about(said: Sequence[Said], uid: str) -> list[int]:
    """Where the entries of the call *uid* stand."""
    return [
        at
        for at, one in enumerate(said)
        if one.data.get("uid") == uid or one.data.get("channel") == uid
    ]


def decisions(story: Story) -> list[int]:
    return [at for at, one in enumerate(story.said) if one.ev == "call.decided"]


def without(said: Sequence[Said], places: Iterable[int]) -> list[Said]:
    gone = set(places)
    return [one for at, one in enumerate(said) if at not in gone]


def edited(said: Sequence[Said], at: int, **change: Any) -> list[Said]:
    """The entry at *at* says something else; None takes a key away."""
    data = {**said[at].data, **change}
    told = {key: value for key, value in data.items() if value is not None}
    return [*said[:at], replace(said[at], data=told), *said[at + 1 :]]


def codes_of(one: Said) -> set[str]:
    return set(one.data.get("codes", ()))


def any_of(draw: random.Random, places: Sequence[int]) -> int | None:
    return draw.choice(places) if places else None


def drawn(story: Story) -> list[int]:
    """Decisions of calls that were drawn, recorded and told nothing of."""
    kept = {
        one.data["uid"]
        for one in story.said
        if one.ev == "call.ended" and one.data["record"] == "full"
    }
    told = {one.data["uid"] for one in story.said if one.ev in ("call.fact", "call.resumed")}
    return [
        at
        for at in decisions(story)
        if "SAMPLED_IN" in codes_of(story.said[at]) and story.said[at].data["uid"] in kept - told
    ]


def left(story: Story) -> list[int]:
    """Decisions of calls that were not drawn."""
    return [at for at in decisions(story) if "SAMPLED_OUT" in codes_of(story.said[at])]


def unpicked(story: Story, at: int, codes: list[str]) -> list[Said]:
    """The recorded call decided at *at* becomes one that was never recorded, for *codes*."""
    uid = story.said[at].data["uid"]
    made = []
    for one in story.said:
        if one.data.get("uid") == uid or one.data.get("channel") == uid:
            if one.ev == "part.opened":
                continue
            data = dict(one.data)
            if "codes" in data:
                data |= {"record": "none", "codes": codes} if "record" in data else {"codes": codes}
            data.pop("recording", None)
            if one.ev == "coverage":
                data |= {"state": "not_recorded", "reason": codes[0]}
            made.append(replace(one, data=data))
        else:
            made.append(one)
    return made


def picked(story: Story, at: int, draw: random.Random) -> list[Said]:
    """The call decided at *at*, which was not drawn, becomes a recorded one."""
    uid = story.said[at].data["uid"]
    recording = draw.randbytes(16).hex()
    made = []
    for one in story.said:
        if one.data.get("uid") != uid:
            made.append(one)
        elif one.ev == "call.ended":
            part = {"part": draw.randbytes(16).hex(), "recording": recording, "number": 0}
            told = {**part, "uid": uid, "purposes": ["quality", "training"]}
            made.append(replace(one, ev="part.opened", data=told))
            told = {"record": "full", "codes": ["SAMPLED_IN"], "recording": recording}
            made.append(replace(one, data={**one.data, **told}))
        elif "codes" in one.data:
            codes = ["SAMPLED_IN" if code == "SAMPLED_OUT" else code for code in one.data["codes"]]
            made.append(replace(one, data={**one.data, "codes": codes}))
        else:
            made.append(one)
    return made
