"""Facts about calls whose legs the C core has: they come back at once."""

from dataclasses import replace
from pathlib import Path

from tests.recorder.live_scene import Scene
from tests.recorder.test_recorder_armed import plan
from tests.stories.box import PAIR

from greffier.control.facts import FactTaken
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.trunk import Trunk
from greffier.store import playback
from greffier.store.shred_format import PART, Name
from greffier_sim import captures
from greffier_sim.captures import MS


def running(scene: Scene) -> Call:
    (call,) = scene.source.running
    return call


def test_a_reclassified_call_goes_though_the_core_had_its_legs(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "paris-desk.toml", '[[match]]\nline = "conseil"\n')
    assert isinstance(scene.source, Trunk)
    one = plan(0)
    ways = captures.call(one)
    middle = one.answer_ns + 3_000 * MS
    scene.hear([way for way in ways if way.time_ns < middle])
    assert len(scene.source.armory) == 2
    call = running(scene)
    for actor in ("anne", "bruno"):
        told = scene.live.telling.tell(call, "mifid", "no", scene.clock.now, "console", actor)
    assert told == FactTaken("taken", "", ("MIXED_RECLASSIFIED_DELETE",))
    assert len(scene.source.armory) == 0
    scene.tick()
    assert not list(scene.config.data.rglob("*.gpart"))
    scene.hear([way for way in ways if way.time_ns >= middle])
    scene.wait(70)
    scene.stop()
    assert not list(scene.config.data.rglob("*.gpart"))
    (ended,) = scene.told("call.ended")
    assert (ended["record"], ended["codes"]) == (
        "provisional_deleted",
        ["MIXED_RECLASSIFIED_DELETE"],
    )
    assert ended["packets"] == 600 and "recording" not in ended
    (coverage,) = [one for one in scene.told("coverage") if one["channel"] == ended["uid"]]
    assert coverage["state"] == "not_recorded"


def test_a_threat_in_a_call_of_which_nothing_is_kept_begins_at_that_packet(tmp_path: Path) -> None:
    """The core drops its packets; from the key on they come back."""
    scene = Scene(tmp_path, "fr-retail.toml", '[[match]]\nline = "vente"\n')
    assert isinstance(scene.source, Trunk)
    one = replace(plan(0), talk_ms=8_000)
    ways = captures.call(one)
    middle = one.answer_ns + 3_000 * MS
    scene.hear([way for way in ways if way.time_ns < middle])
    assert len(scene.source.armory) == 2
    call = running(scene)
    scene.clock.now = middle
    told = scene.live.telling.tell(call, "threat", "true", middle, "key", "zoe")
    assert told.state == "taken" and "INCIDENT_MANUAL" in told.codes
    scene.hear([way for way in ways if way.time_ns >= middle])
    scene.wait(70)
    scene.stop()
    with Archive.open(scene.config.data, scene.clock) as archive:
        parts = [
            playback.open_part(
                path, archive.shred.get(Name(PART, bytes.fromhex(path.stem))).block, PAIR
            )
            for path in sorted(scene.config.data.rglob("*.gpart"))
        ]
    (incident,) = [part for part in parts if "incident" in part.header.meta["purposes"]]
    assert int(incident.header.meta["created_ns"]) == middle
    assert len(incident.legs) == 2
    for leg in incident.legs.values():
        rate = leg.stored.rate
        first = min(packet.position for packet in leg.packets)
        since_start = middle - one.start_ns
        assert 0 <= first - since_start * rate // 1_000_000_000 <= rate // 10
        sound = sum(packet.samples for packet in leg.packets)
        assert abs(sound - 5 * rate) <= rate // 5
