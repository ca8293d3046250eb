"""The policy of the soaks, and the soak of policies: properties of the rules, and harmed files.

The policy has a line with a duty to record, and one that is drawn.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greffier_sim.mutated_policies import look
from greffier_sim.policy_properties import PROPERTIES, Broken, hold

POLICY = """schema = "callpolicy/1"
id = "soak"
version = 1
controller = "FR"
employee = "FR"
device = "FR"
market = "FR"
timezone = "Europe/Paris"
fail_mode = "closed"
[governance]
register_ref = "SOAK-REG"
works_council_ref = "SOAK-CSE"
dpo_ref = "SOAK-DPO"
employee_notice_on = 2025-09-01
lia_ref = "SOAK-LIA"
mifid_policy_ref = "SOAK-POL"
changed_by = ["admin-01", "dpo-01"]
[consent]
mode = "{consent}"
accept_key = "1"
refuse_key = "9"
[announce]
languages = ["fr"]
text_id = "SOAK"
on_failure = "no_record"
[sampling]
method = "bernoulli"
rate = {rate}
strata = ["queue", "direction"]
decide_at = "start"
pre_roll_s = 0
[retention]
quality = 89
training = 89
regulatory = 1827
[pause]
sources = [{sources}]
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
codec = "{codec}"
[lines.desk]
sector = "mifid"
purposes = ["regulatory"]
internal = true
codec = "{codec}"
"""


def write_policy(
    path: Path, *, codec: str, rate: float, consent: str = "opt_out", pauses: bool = False
) -> Path:
    """Write it to *path*: *codec* on both lines, *rate* and *consent* of the drawn one.

    Without *pauses* nobody may start one, and no sound waits for one.
    """
    sources = '"dtmf"' if pauses else ""
    path.write_text(POLICY.format(codec=codec, rate=rate, consent=consent, sources=sources))
    return path


def configure(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--examples", type=int, default=10_000, help="of each property")
    parser.add_argument("--seed", type=int, default=1)


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Try each property of the rules, and harmed policies, on so many examples."""
    found: dict[str, Any] = {"ok": True, "properties": {}, "broken": []}
    for check in PROPERTIES:
        name = check.__name__
        try:
            found["properties"][name] = hold(check, words.examples, words.seed)
        except Broken as error:
            found["broken"].append(str(error))
        say(f"{name}: {found['properties'].get(name, 'BROKEN')}")
    with tempfile.TemporaryDirectory() as folder:
        answers, wrong = look(words.examples, Path(folder), words.seed)
    say(f"harmed policies: {dict(answers)}")
    found |= {"harmed": sum(answers.values()), "answers": dict(answers), "wrong": wrong}
    found["ok"] = not found["broken"] and not wrong
    return found
