"""The policy of the soaks: a line with a duty to record, and one that is drawn."""

from pathlib import Path

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
    path: Path, *, codec: str, rate: float, consent: str = "opt_out", pauses: bool = True
) -> Path:
    """Write it to *path*: *codec* on both lines, *rate* and *consent* of the drawn one.

    Without *pauses* nobody may start one, and no sound waits for one.
    """
    sources = '"dtmf"' if pauses else ""
    path.write_text(POLICY.format(codec=codec, rate=rate, consent=consent, sources=sources))
    return path
