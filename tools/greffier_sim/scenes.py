"""What the demo plays: who calls whom on which line, under which policy, and how it is told."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greffier.language import translate as _

POLICY = """schema = "callpolicy/1"
id = "demo-{name}"
version = 1
controller = "FR"
employee = "FR"
device = "FR"
market = "FR"
timezone = "Europe/Paris"
fail_mode = "closed"
[governance]
register_ref = "DEMO-REG"
works_council_ref = "DEMO-CSE"
dpo_ref = "DEMO-DPO"
employee_notice_on = 2025-09-01
lia_ref = "DEMO-LIA"
mifid_policy_ref = "DEMO-POL"
changed_by = ["admin-01", "dpo-01"]
[consent]
mode = "opt_out"
accept_key = "1"
refuse_key = "9"
[announce]
languages = ["fr"]
text_id = "DEMO"
on_failure = "{on_failure}"
[sampling]
method = "bernoulli"
rate = 0.30
strata = ["queue", "direction"]
decide_at = "start"
pre_roll_s = 0
[retention]
quality = 89
training = 89
regulatory = 1827
[pause]
sources = ["dtmf"]
backdate_s = 5
auto_resume = false
[analytics]
emotion_inference = false
screen_capture = "off"
[sync]
destination = "FR"
[lines.{line}]
sector = "{sector}"
purposes = {purposes}
internal = false
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """Calls of one line under one policy; *facts* are what the capture cannot show."""

    line: str
    title: str
    sector: str
    purposes: tuple[str, ...]
    callers: tuple[tuple[str, str, str], ...]
    facts: tuple[str, ...] = ()


def scenes() -> list[Scene]:
    """What is played: a sampled line, a line with a duty to record, an internal call."""
    desk = _("order desk: the law demands recording, packets kept as they came")
    front = _("reception: 30 % drawn at random, Opus 24 kbit/s")
    inside = _("reception, between two colleagues: never recorded for quality")
    return [
        Scene(
            "accueil",
            front,
            "retail",
            ("quality", "training"),
            (
                ("Mme Martin", "+33478123401", "0478999999"),
                ("M. Durand", "+33478123402", "0478999999"),
                ("Mme Petit", "+33478123403", "0478999999"),
                ("M. Moreau", "+33478123404", "0478999999"),
                ("Mme Leroy", "+33478123405", "0478999999"),
            ),
        ),
        Scene(
            "desk",
            desk,
            "mifid",
            ("regulatory",),
            (
                ("M. Bernard", "+33478123406", "0144000001"),
                ("Mme Dubois", "+33478123407", "0144000001"),
                ("M. Roux", "+33478123408", "0144000001"),
            ),
        ),
        Scene(
            "accueil",
            inside,
            "retail",
            ("quality", "training"),
            (("Poste 21", "21", "35"),),
            ("dir=int",),
        ),
    ]


def write_policy(scene: Scene, folder: Path) -> Path:
    """The policy of a scene, as a file."""
    path = folder / f"{scene.line}.toml"
    path.write_text(
        POLICY.format(
            name=scene.line,
            line=scene.line,
            sector=scene.sector,
            purposes=json.dumps(list(scene.purposes)),
            on_failure="end_call" if scene.sector == "mifid" else "no_record",
        )
    )
    return path


def words_of(call: dict[str, Any]) -> str:
    """A verdict in words that a manager understands."""
    words = {
        "SAMPLED_IN": _("drawn: recorded"),
        "SAMPLED_OUT": _("not drawn: nothing kept"),
        "MANDATORY_MIFID": _("recorded by law"),
        "INTERNAL_OFF": _("internal: nothing kept"),
    }
    code = call["codes"][0] if call["codes"] else ""
    return f"{words.get(code, code):<34} {call['duration_s']:.1f} s"
