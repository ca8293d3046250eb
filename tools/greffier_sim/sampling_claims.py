"""What somebody might claim of a call so that it need not, or may, be recorded.

The other half of :mod:`greffier_sim.sampling_frauds`: times, agents, verdicts and parts.
"""

import random
from dataclasses import replace
from typing import Final

from greffier.clock import SECOND
from greffier_sim.sampling_edits import (
    about,
    any_of,
    codes_of,
    decisions,
    drawn,
    edited,
    left,
    picked,
    unpicked,
    without,
)
from greffier_sim.sampling_story import Said, Story, policies

_HOUR: Final = 3600 * SECOND


# --- time ---


def late(story: Story, draw: random.Random) -> list[Said] | None:
    """The decision stands behind the end of its call."""
    at = any_of(draw, decisions(story)[:-2])
    if at is None:
        return None
    last = about(story.said, story.said[at].data["uid"])[-1]
    if last == at:
        return None
    said = list(story.said)
    moved = replace(said[at], t_ns=said[last].t_ns, mono_ns=said[last].mono_ns)
    return [*said[:at], *said[at + 1 : last + 1], moved, *said[last + 1 :]]


def window_missed(story: Story, draw: random.Random) -> list[Said] | None:
    """A drawn call is said to have begun outside the announced window."""
    if not story.policy.windows:
        return None
    at = any_of(draw, drawn(story))
    if at is None:
        return None
    begun = story.said[at].data["at_ns"]
    outside = begun - begun % (24 * _HOUR) + 3 * _HOUR
    made = unpicked(story, at, ["OUTSIDE_WINDOW"])
    return edited(made, at, at_ns=outside)


def clock_bent(story: Story, draw: random.Random) -> list[Said] | None:
    """The same, and the entry's own clock with it."""
    made = window_missed(story, draw)
    if made is None:
        return None
    at = next(i for i, one in enumerate(made) if one != story.said[i])
    bent = replace(made[at], t_ns=made[at].data["at_ns"])
    return [*made[:at], bent, *made[at + 1 :]]


# --- agents ---


def _counting(story: Story) -> list[int]:
    return [at for at, one in enumerate(story.said) if "used" in one.data]


def less_used(story: Story, draw: random.Random) -> list[Said] | None:
    """The count of an agent's calls is off by one."""
    at = any_of(draw, [at for at in _counting(story) if story.said[at].data["used"]])
    if at is None:
        return None
    return edited(story.said, at, used=story.said[at].data["used"] - 1)


def quota_claimed(story: Story, draw: random.Random) -> list[Said] | None:
    """A drawn call is said to have been over the quota."""
    if story.policy.sampling.agent_quota_month is None:
        return None
    counted = {story.said[at].data["uid"] for at in _counting(story)}
    places = [at for at in drawn(story) if story.said[at].data["uid"] in counted]
    at = any_of(draw, places)
    return None if at is None else unpicked(story, at, ["QUOTA_REACHED"])


def quota_ignored(story: Story, draw: random.Random) -> list[Said] | None:
    """A call over the quota is recorded."""
    over = [at for at in decisions(story) if "QUOTA_REACHED" in codes_of(story.said[at])]
    at = any_of(draw, over)
    if at is None:
        return None
    made = picked(story, at, draw)
    place = next(i for i, one in enumerate(made) if one == story.said[at])
    return edited(made, place, codes=["SAMPLED_IN", "NOTICE_PENDING"])


def uncounted(story: Story, draw: random.Random) -> list[Said] | None:
    """An agent is known, and their calls are not counted."""
    at = any_of(draw, [at for at in _counting(story) if story.said[at].ev == "call.decided"])
    return None if at is None else edited(story.said, at, used=None)


def no_month(story: Story, draw: random.Random) -> list[Said] | None:
    """The month's keys were never sealed to head office."""
    opened = [at for at, one in enumerate(story.said) if one.ev == "month.opened"]
    return without(story.said, opened) if opened else None


def slot_missed(story: Story, draw: random.Random) -> list[Said] | None:
    """A slot's call is said to have none."""
    at = any_of(draw, [at for at, one in enumerate(story.said) if one.data.get("slot")])
    return None if at is None else edited(story.said, at, slot=False)


def slot_given(story: Story, draw: random.Random) -> list[Said] | None:
    """A call without a slot gets one."""
    places = [at for at, one in enumerate(story.said) if one.data.get("slot") is False]
    at = any_of(draw, places)
    return None if at is None else edited(story.said, at, slot=True)


# --- verdicts ---


def objection_claimed(story: Story, draw: random.Random) -> list[Said] | None:
    """A drawn call ends as objected to; nobody said so."""
    return _ended_as(story, draw, ["SAMPLED_IN", "OBJECTED"])


def private_claimed(story: Story, draw: random.Random) -> list[Said] | None:
    """A drawn call ends as private; nobody pressed the key."""
    return _ended_as(story, draw, ["PRIVATE_MODE"])


def _ended_as(story: Story, draw: random.Random, codes: list[str]) -> list[Said] | None:
    at = any_of(draw, drawn(story))
    if at is None:
        return None
    uid = story.said[at].data["uid"]
    end = next(
        i for i, one in enumerate(story.said) if one.ev == "call.ended" and one.data["uid"] == uid
    )
    made = edited(story.said, end, record="none", codes=codes, recording=None)
    return [one for one in made if one.ev != "part.opened" or one.data["uid"] != uid]


def end_changed(story: Story, draw: random.Random) -> list[Said] | None:
    """A call that was not drawn ends as a recorded one."""
    at = any_of(draw, left(story))
    if at is None:
        return None
    uid = story.said[at].data["uid"]
    end = next(
        (
            i
            for i, one in enumerate(story.said)
            if one.ev == "call.ended" and one.data["uid"] == uid
        ),
        None,
    )
    return None if end is None else edited(story.said, end, record="full", codes=["SAMPLED_IN"])


def other_policy(story: Story, draw: random.Random) -> list[Said] | None:
    """A call is decided under a policy that was not adopted."""
    at = any_of(draw, decisions(story))
    if at is None:
        return None
    others = sorted(set(policies()) - {story.policy.sha256})
    return edited(story.said, at, policy_sha256=draw.choice(others))


def hidden_part(story: Story, draw: random.Random) -> list[Said] | None:
    """A call that was not drawn has a part for quality."""
    at = any_of(draw, left(story))
    if at is None:
        return None
    uid = story.said[at].data["uid"]
    told = {"part": draw.randbytes(16).hex(), "recording": draw.randbytes(16).hex(), "number": 0}
    part = replace(story.said[at], ev="part.opened", data={**told, "uid": uid})
    part = replace(part, data={**part.data, "purposes": ["quality"]})
    return [*story.said[: at + 1], part, *story.said[at + 1 :]]


def lost_part(story: Story, draw: random.Random) -> list[Said] | None:
    """A recorded call has no part any more."""
    at = any_of(draw, drawn(story))
    if at is None:
        return None
    uid = story.said[at].data["uid"]
    return [one for one in story.said if one.ev != "part.opened" or one.data["uid"] != uid]
