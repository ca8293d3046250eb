"""What the demo plays: who calls whom, under which policy and configuration, how it is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greffier.language import translate as _
from greffier_sim.branch import Branch

POLICY = """schema = "callpolicy/1"
id = "demo-branch"
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
on_failure = "no_record"
[sampling]
method = "bernoulli"
rate = 0.20
strata = ["queue", "direction"]
decide_at = "start"
pre_roll_s = 0
[retention]
quality = 89
training = 89
regulatory = 1827
[pause]
sources = []
backdate_s = 5
auto_resume = false
[analytics]
emotion_inference = false
screen_capture = "off"
[sync]
destination = "FR"
[lines.accueil]
sector = "retail"
purposes = ["quality", "training"]
internal = false
[lines.desk]
sector = "mifid"
purposes = ["regulatory"]
internal = false
codec = "original"
[lines.dehors]
sector = "private"
purposes = []
"""
RECEPTION, DESK = "0478999999", "0144000001"
CONFIG = """schema = "recorder/1"
data = "{data}"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 300
[control]
socket = "{socket}"
[taps.trunk]
interface = "{interface}"
[direction]
inside_numbers = ["??", "{reception}", "{desk}"]
[[match]]
line = "desk"
called = ["{desk}"]
networks = ["{network}"]
[[match]]
line = "accueil"
networks = ["{network}"]
[[match]]
line = "dehors"
"""
CHANNEL = """[analogue.{name}]
line = "{line}"
pcm = "{name}"
onset_ms = 40
hang_over_s = 1.0
"""


@dataclass(frozen=True, slots=True)
class Talk:
    """One call: who calls whom, on which line, and which sentences are said."""

    number: str
    called: str
    line: str
    sentences: tuple[int, ...]


ORDER = Talk("+33478123406", DESK, "desk", (2, 0, 1, 3, 4))
"""The call that is longer than the recorder lives."""
INSIDE = Talk("21", "35", "accueil", (4,))
"""Between two colleagues: never recorded for quality."""
OTHERS = (
    Talk("+33478123401", RECEPTION, "accueil", (0,)),
    Talk("+33478123402", RECEPTION, "accueil", (1,)),
    Talk("+33478123407", DESK, "desk", (2,)),
    Talk("+33478123403", RECEPTION, "accueil", (3,)),
    INSIDE,
    Talk("+33478123404", RECEPTION, "accueil", (0,)),
)
"""Those that come after it was killed and started again."""


@dataclass(frozen=True, slots=True)
class Handset:
    """An analogue line, which is a simulated sound card of that name; what is said on it."""

    name: str
    line: str
    sentences: tuple[int, ...]


HANDSETS = (Handset("salle", "desk", (1,)), Handset("porte", "accueil", (3,)))
SILENT_S = 5.5
"""Before anything is said on them, from the kill on, at least: the recorder is back by then."""


def write_policy(folder: Path) -> Path:
    """The policy, as a file."""
    path = folder / "policy.toml"
    path.write_text(POLICY, "utf-8")
    return path


def write_config(folder: Path, data: Path, wire: Branch, socket: Path, more: str) -> Path:
    """The recorder's configuration, with *more* sections, as a file."""
    path = folder / "recorder.toml"
    path.write_text(
        CONFIG.format(
            data=data,
            socket=socket,
            interface=wire.interface,
            network=wire.network,
            reception=RECEPTION,
            desk=DESK,
        )
        + "".join(CHANNEL.format(name=one.name, line=one.line) for one in HANDSETS)
        + more,
        "utf-8",
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
