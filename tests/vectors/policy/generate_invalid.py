"""Writes invalid.json: changes to a good policy that make it unusable, and the keys at fault.

Run it from the root of the repository; the keys were decided by reading docs/policy.md.
"""

import json
from pathlib import Path

WRONG_TYPES = {
    "schema": ["callpolicy/2", 1, None],
    "id": [7, "", None],
    "version": ["7", 7.0, -1, True, None],
    "controller": ["France", "fr", "", 33, None],
    "employee": ["F", None],
    "device": [["FR"], None],
    "market": ["FR-", None],
    "timezone": ["Europe/Lyon", "../etc/passwd", "", "Europe", 1, None],
    "fail_mode": ["shut", True, None],
    "governance": ["yes", 3],
    "governance.register_ref": [7, ["x"]],
    "governance.employee_notice_on": ["soon", 2025, True],
    "governance.changed_by": ["admin-01", [1, 2]],
    "windows.recording": [
        "Mon-Fri 09:00-18:00",
        [1],
        ["Mon-Fri"],
        ["Lun-Ven 09:00-18:00"],
        ["Mon 9:00-18:00"],
        ["Mon 09:00-24:01"],
        ["Mon 09:60-10:00"],
        ["Mon 09:00-09:00"],
        ["Mon 24:00-08:00"],
        ["Mon- 09:00-10:00"],
        [""],
    ],
    "consent": [None, "opt_in"],
    "consent.mode": ["maybe", 2, None],
    "consent.accept_key": ["11", "", "9", 1],
    "consent.refuse_key": ["x", "1"],
    "consent.discard_on_objection": [False, "yes"],
    "announce": [None],
    "announce.languages": ["fr", [1]],
    "announce.text_id": [None, 4, " "],
    "announce.on_failure": [None, "go_on"],
    "sampling": [None, []],
    "sampling.method": ["dice", 1],
    "sampling.rate": [None, "20 %", -0.1, 1.01, True],
    "sampling.agent_quota_month": [-1, 1.5, "12"],
    "sampling.slots_month": [0, 32],
    "sampling.strata": ["queue", ["agent"], ["queue", "queue"]],
    "sampling.decide_at": ["middle"],
    "sampling.pre_roll_s": [-1, 61, "5"],
    "sampling.rate_justification_ref": [7, {"document": "J1"}],
    "retention": [None],
    "retention.quality": [0, -1, "89", 89.0, 10**6],
    "retention.metadata": [0],
    "retention.purge_grace": [-1, 367],
    "retention.hold_mode": ["stop"],
    "authority_order.active": ["no"],
    "authority_order.days": [0],
    "authority_order.date": ["yesterday"],
    "pause.sources": ["dtmf", ["smell"]],
    "pause.backdate_s": [4, 31, 5.5],
    "pause.auto_resume": [0],
    "pause.alarm_after_s": [0],
    "access.listen_requires": ["anyone"],
    "analytics.emotion_inference": ["off"],
    "analytics.screen_capture": ["photo", False],
    "capture.continuous": [1],
    "capture.pre_roll_s": [-1],
    "capture.instant_replay_s": [3601],
    "sync": [None],
    "sync.destination": [None, "Paris"],
    "sync.immutable": ["yes"],
    "agents.never": ["agent-01", [1]],
    "agents.rate": [0.1],
    "agents.rate.agent-01": [2],
    "teams.north": ["agent-01"],
    "lines": [None, {}, [1]],
    "lines.accueil": [3, {}],
    "lines.accueil.sector": ["shop", None],
    "lines.accueil.purposes": [None, "quality", ["fun"], ["quality", "quality"], ["regulatory"]],
    "lines.accueil.internal": ["no"],
    "lines.accueil.mixed": [True, "no"],
    "lines.accueil.codec": ["mp3", 1],
    "lines.accueil.prompt": [1],
    "lines.accueil.backdate_s": [4, 31],
}
# What is at fault where it is not the changed key itself.
CULPRITS = {
    "consent": ["consent.mode"],
    "consent.accept_key": ["consent."],
    "sampling.rate_justification_ref": ["sampling.rate_justification_ref"],
    "lines.accueil": ["lines.accueil"],
}
TOGETHER = [
    (
        {"id": None, "sampling.rate": 2, "lines.vente.codec": "mp3", "sync.cloud": True},
        ["id", "sampling.rate", "lines.vente.codec", "sync.cloud"],
    ),
    ({"colour": "blue", "lines.cse.color": "blue"}, ["colour", "lines.cse.color"]),
    ({"lines.accueil.sector": "mifid"}, ["lines.accueil.purposes"]),
    (
        {"lines.accueil.sector": "mifid", "lines.accueil.purposes": []},
        ["lines.accueil.purposes"],
    ),
    ({"lines.a b": {"sector": "retail", "purposes": []}}, ["lines.a b"]),
]
TABLES = [
    "governance", "windows", "consent", "announce", "sampling", "retention", "authority_order",
    "pause", "access", "analytics", "capture", "sync", "agents", "lines.accueil",
]  # fmt: skip


def main() -> None:
    """Write the file beside this script."""
    found = [
        {"set": {key: value}, "names": CULPRITS.get(key, [key])}
        for key, values in WRONG_TYPES.items()
        for value in values
    ]
    found += [{"set": changes, "names": names} for changes, names in TOGETHER]
    found += [{"set": {f"{name}.nobody": 1}, "names": [f"{name}.nobody"]} for name in TABLES]
    path = Path(__file__).with_name("invalid.json")
    path.write_text("[\n" + ",\n".join(json.dumps(item) for item in found) + "\n]\n")


if __name__ == "__main__":
    main()
