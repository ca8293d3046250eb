"""Facts about a call on an analogue line: what is held until the notice was heard."""

from pathlib import Path

import pytest
from tests.recorder.card_scene import RATE, Scene
from tests.stories.box import RETAIL, policy_with

from greffier.clock import SECOND


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    policy = policy_with(
        tmp_path,
        RETAIL,
        ("[lines.vente]\n", '[lines.vente]\nprompt = "A-FR"\n'),
        ('sources = ["dtmf", "api", "agent_key"]', "sources = []"),
    )
    return Scene(tmp_path, policy, "vente")


def test_a_threat_waits_for_the_notice_and_begins_at_its_instant(scene: Scene) -> None:
    scene.hear(1)
    scene.hear(5, 0)
    (call,) = scene.source.running
    threat_ns = scene.clock.now
    told = scene.live.telling.tell(call, "threat", "true", threat_ns, "desk", "zoe")
    assert told.state == "taken" and "NOTICE_PENDING" in told.codes
    scene.hear(3, 0)
    assert call.holding and not call.captured
    told = scene.live.telling.tell(call, "announce", "ok", scene.clock.now - 2 * SECOND, "console")
    assert not call.holding and "INCIDENT_MANUAL" in told.codes
    scene.hear(4, 0)
    scene.hear(4)
    scene.stop()
    (part,) = [one for one in scene.opened() if "incident" in one.header.meta["purposes"]]
    assert int(part.header.meta["created_ns"]) == threat_ns + SECOND
    (leg,) = part.legs.values()
    heard = sum(packet.samples for packet in leg.packets)
    # Two seconds of what was held, four that came, and the silence that ended the call.
    assert 6 * RATE <= heard <= 9 * RATE
    states = scene.channel("a").states
    assert states["recorded"] > 5 * SECOND and scene.verified()["ok"]


def test_a_call_that_ends_before_the_notice_is_heard_keeps_nothing(scene: Scene) -> None:
    scene.hear(1)
    scene.hear(5, 0)
    (call,) = scene.source.running
    scene.live.telling.tell(call, "threat", "true", scene.clock.now, "desk")
    scene.hear(3, 0)
    scene.hear(4)
    scene.stop()
    assert scene.opened() == [] and scene.verified()["ok"]
    (ended,) = scene.told("call.ended")
    assert ended["record"] == "none" and "ANNOUNCE_FAILED" in ended["codes"]
    assert scene.channel("a").states["recorded"] == 0
