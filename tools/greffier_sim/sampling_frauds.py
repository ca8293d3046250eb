"""What somebody might do to a day's log so that one call is (or is not) recorded.

Each fraud takes an honest story and gives other entries that a box, or a thief of its log key,
would number and sign like any others: no hash and no signature is wrong. Where a day has no call
that suits it, it gives None.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from greffier.policy import sampling
from greffier_sim import sampling_claims
from greffier_sim.sampling_edits import (
    about,
    any_of,
    decisions,
    drawn,
    edited,
    left,
    picked,
    unpicked,
    without,
)
from greffier_sim.sampling_story import DEVICE, Said, Story

Fraud = Callable[[Story, random.Random], list[Said] | None]


# --- numbers ---


def drop_call(story: Story, draw: random.Random) -> list[Said] | None:
    """Nothing is said of a call."""
    places = decisions(story)
    later = {story.said[at].data["line"]: at for at in places}
    at = any_of(draw, [one for one in places if one != later[story.said[one].data["line"]]])
    if at is None:
        return None
    return without(story.said, about(story.said, story.said[at].data["uid"]))


def drop_decision(story: Story, draw: random.Random) -> list[Said] | None:
    """Only the decision is gone."""
    at = any_of(draw, decisions(story))
    return None if at is None else without(story.said, [at])


def drop_end(story: Story, draw: random.Random) -> list[Said] | None:
    """A recorded call has no end."""
    places = [at for at, one in enumerate(story.said) if one.ev == "call.ended"]
    last = decisions(story)[-1]
    covered = {at for at in places if at < last and story.said[at].data["reason"] == "bye"}
    resumed = {one.data["uid"] for one in story.said if one.ev == "call.resumed"}
    good = [at for at in covered if story.said[at].data["uid"] not in resumed]
    # Before the box stops for the next time, another call has to be decided.
    good = [at for at in sorted(good) if _decided_before_a_start(story.said, at)]
    at = any_of(draw, good)
    return None if at is None else without(story.said, [at])


def _decided_before_a_start(said: Sequence[Said], at: int) -> bool:
    for one in said[at + 1 :]:
        if one.ev in ("recorder.started", "epoch.opened"):
            return False
        if one.ev == "call.decided":
            return True
    return False


def swap_decisions(story: Story, draw: random.Random) -> list[Said] | None:
    """Two decisions of a line change places."""
    places = decisions(story)
    pairs = [
        (one, other)
        for one, other in itertools.pairwise(places)
        if story.said[one].data["line"] == story.said[other].data["line"]
        and story.said[one].data["epoch"] == story.said[other].data["epoch"]
    ]
    if not pairs:
        return None
    one, other = draw.choice(pairs)
    said = list(story.said)
    first, second = said[one], said[other]
    said[one] = replace(second, t_ns=first.t_ns, mono_ns=first.mono_ns)
    said[other] = replace(first, t_ns=second.t_ns, mono_ns=second.mono_ns)
    return said


def double_number(story: Story, draw: random.Random) -> list[Said] | None:
    """A number is decided a second time, by the key, and as it suits."""
    at = any_of(draw, left(story))
    if at is None:
        return None
    said = list(story.said)
    return [*said[: at + 1], said[at], *said[at + 1 :]]


def claim_never(story: Story, draw: random.Random) -> list[Said] | None:
    """A call is said to have been on a line that is never recorded."""
    places = decisions(story)
    later = {story.said[at].data["line"]: at for at in places}
    at = any_of(draw, [one for one in places if one != later[story.said[one].data["line"]]])
    if at is None:
        return None
    own = about(story.said, story.said[at].data["uid"])
    said = list(story.said)
    said[at] = replace(
        said[at], ev="line.not_recorded", data={"line": "cse", "reason": "NEVER_RECORD"}
    )
    return without(said, [one for one in own if one != at])


# --- draws ---


def redraw_in(story: Story, draw: random.Random) -> list[Said] | None:
    """A call that was not drawn gets a lower draw, and a recording."""
    at = any_of(draw, left(story))
    if at is None:
        return None
    made = picked(story, at, draw)
    uid = story.said[at].data["uid"]
    place = next(i for i, one in enumerate(made) if one.data.get("uid") == uid)
    return edited(made, place, u=draw.randrange(1 << 40))


def redraw_out(story: Story, draw: random.Random) -> list[Said] | None:
    """A drawn call gets a higher draw, and loses its recording."""
    at = any_of(draw, drawn(story))
    if at is None:
        return None
    made = unpicked(story, at, ["SAMPLED_OUT"])
    uid = story.said[at].data["uid"]
    place = next(i for i, one in enumerate(made) if one.data.get("uid") == uid)
    return edited(made, place, u=(1 << 53) - 1 - draw.randrange(1 << 40))


def pick(story: Story, draw: random.Random) -> list[Said] | None:
    """A call that was not drawn is recorded all the same, and said to be drawn."""
    at = any_of(draw, left(story))
    return None if at is None else picked(story, at, draw)


def unpick(story: Story, draw: random.Random) -> list[Said] | None:
    """A drawn call is said not to have been."""
    at = any_of(draw, drawn(story))
    return None if at is None else unpicked(story, at, ["SAMPLED_OUT"])


def drop_draw(story: Story, draw: random.Random) -> list[Said] | None:
    """A decision has no draw."""
    at = any_of(draw, decisions(story))
    return None if at is None else edited(story.said, at, u=None)


def fix_draw(story: Story, draw: random.Random) -> list[Said] | None:
    """The draw is said to have come from outside, as a test's."""
    at = any_of(draw, decisions(story))
    return None if at is None else edited(story.said, at, u=1 << 50, given=["u"])


def other_stratum(story: Story, draw: random.Random) -> list[Said] | None:
    """The call is drawn in another stratum, by the true key."""
    at = any_of(draw, decisions(story))
    if at is None:
        return None
    data = story.said[at].data
    others = {"accueil/in", "vente/in", "vente/out", "accueil", "in", "c"} - {data["stratum"]}
    stratum = draw.choice(sorted(others))
    found = sampling.draw(story.epochs[data["epoch"]], stratum, data["uid"])
    return edited(story.said, at, stratum=stratum, u=found.numerator)


def other_line(story: Story, draw: random.Random) -> list[Said] | None:
    """The call is said to be on another line than its number's."""
    at = any_of(draw, decisions(story))
    if at is None:
        return None
    data = story.said[at].data
    line = "vente" if data["line"] == "accueil" else "accueil"
    stratum = data["stratum"].replace(data["line"], line)
    found = sampling.draw(story.epochs[data["epoch"]], stratum, data["uid"])
    return edited(story.said, at, line=line, stratum=stratum, u=found.numerator)


def renumbered(story: Story, draw: random.Random) -> list[Said] | None:
    """A call is gone, those after it move up, and all are drawn again by keys that are revealed.

    Who has the log key and waits for the epochs' ends can do this without a trace in the log.
    """
    at = any_of(draw, decisions(story)[:-2])
    if at is None:
        return None
    gone = story.said[at].data["uid"]
    line, number = gone.split("/")[1], int(gone[-10:])
    made = []
    for one in without(story.said, about(story.said, gone)):
        data = dict(one.data)
        for key in ("uid", "channel"):
            uid = data.get(key, "")
            if uid.startswith(f"{DEVICE}/{line}/") and int(uid[-10:]) > number:
                data[key] = sampling.call_uid(DEVICE, line, int(uid[-10:]) - 1)
        if one.ev == "call.decided":
            secret = story.epochs[data["epoch"]]
            data["u"] = sampling.draw(secret, data["stratum"], data["uid"]).numerator
        made.append(replace(one, data=data))
    return made


# --- epochs and keys ---


def old_epoch(story: Story, draw: random.Random) -> list[Said] | None:
    """A call is drawn under the key of an epoch that is over, and revealed."""
    first = next(iter(story.epochs))
    later = [at for at in decisions(story) if story.said[at].data["epoch"] != first]
    at = any_of(draw, later)
    if at is None:
        return None
    data = story.said[at].data
    found = sampling.draw(story.epochs[first], data["stratum"], data["uid"])
    return edited(story.said, at, epoch=first, u=found.numerator)


def no_epoch(story: Story, draw: random.Random) -> list[Said] | None:
    """A decision names no epoch."""
    at = any_of(draw, decisions(story))
    return None if at is None else edited(story.said, at, epoch=None)


def second_epoch(story: Story, draw: random.Random) -> list[Said] | None:
    """Another epoch in the middle of a run, so that what follows is drawn anew."""
    at = any_of(draw, decisions(story)[3:-3])
    if at is None:
        return None
    before = story.said[at]
    name, key = f"{before.data['epoch'][:10]}.ffff", draw.randbytes(32)
    opened = {"epoch": name, "commit": sampling.commit(name, key)}
    closed = {"epoch": before.data["epoch"], "key": story.epochs[before.data["epoch"]].hex()}
    said = [
        *story.said[:at],
        replace(before, ev="epoch.closed", data=closed),
        replace(before, ev="epoch.opened", data=opened),
    ]
    for one in story.said[at:]:
        data = dict(one.data)
        if data.get("epoch") == before.data["epoch"]:
            data["epoch"] = name
            if one.ev == "call.decided":
                data["u"] = sampling.draw(key, data["stratum"], data["uid"]).numerator
            elif one.ev == "epoch.closed":
                data["key"] = key.hex()
        said.append(replace(one, data=data))
    return said


def other_reveal(story: Story, draw: random.Random) -> list[Said] | None:
    """Another key is revealed than was committed to, and the draws fit that one."""
    closed = [
        at for at, one in enumerate(story.said) if one.ev == "epoch.closed" and "key" in one.data
    ]
    at = any_of(draw, closed)
    if at is None:
        return None
    name, key = story.said[at].data["epoch"], draw.randbytes(32)
    made = []
    for one in edited(story.said, at, key=key.hex()):
        if one.ev == "call.decided" and one.data.get("epoch") == name:
            u = sampling.draw(key, one.data["stratum"], one.data["uid"]).numerator
            made.append(replace(one, data={**one.data, "u": u}))
        else:
            made.append(one)
    return made


def other_seal(story: Story, draw: random.Random) -> list[Said] | None:
    """What was sealed to head office is not the key committed to."""
    opened = [at for at, one in enumerate(story.said) if one.ev == "epoch.opened"]
    if len(opened) < 2:
        return None
    one, other = draw.sample(opened, 2)
    return edited(story.said, one, sampling=story.said[other].data["sampling"])


def other_day(story: Story, draw: random.Random) -> list[Said] | None:
    """An epoch is dated to another day."""
    at = any_of(draw, [at for at, one in enumerate(story.said) if one.ev == "epoch.opened"])
    if at is None:
        return None
    old = story.said[at].data["epoch"]
    name, key = f"2026-02-27{old[10:]}", story.epochs[old]
    made = []
    for one in story.said:
        data = dict(one.data)
        if data.get("epoch") == old:
            data["epoch"] = name
            if "commit" in data:
                data |= {"commit": sampling.commit(name, key), "sampling": None}
                data.pop("sampling")
        made.append(replace(one, data=data))
    return made


FRAUDS: Final[dict[str, Fraud]] = {
    made.__name__: made
    for made in (
        *(drop_call, drop_decision, drop_end, swap_decisions, double_number, claim_never),
        *(redraw_in, redraw_out, pick, unpick, drop_draw, fix_draw, other_stratum, other_line),
        *(old_epoch, no_epoch, second_epoch, other_reveal, other_seal, other_day),
        *(sampling_claims.late, sampling_claims.window_missed, sampling_claims.clock_bent),
        *(
            sampling_claims.less_used,
            sampling_claims.quota_claimed,
            sampling_claims.quota_ignored,
            sampling_claims.uncounted,
            sampling_claims.no_month,
            sampling_claims.slot_missed,
            sampling_claims.slot_given,
        ),
        *(
            sampling_claims.objection_claimed,
            sampling_claims.private_claimed,
            sampling_claims.end_changed,
            sampling_claims.other_policy,
            sampling_claims.hidden_part,
            sampling_claims.lost_part,
        ),
    )
}
"""Those that the log alone shows."""
