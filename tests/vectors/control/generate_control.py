"""Writes messages.json: frames of every kind, and payloads that a strict reader refuses."""

import json
from pathlib import Path

from greffier import canonical
from greffier.control import desks as d
from greffier.control import facts as f
from greffier.control import governance as g
from greffier.control import messages as m
from greffier.control import retention as r
from greffier.control import transfer as t
from greffier.control.wire import write_answer, write_request

ALARM = m.Alarm(7, "storage.failed", "vault", "critical", False, 3, 1_795_305_600_000_000_000,
                1_795_305_660_000_000_000)  # fmt: skip
RUN = "00112233445566778899aabbccddeeff"
PART = "ffeeddccbbaa99887766554433221100"
STATUS = m.Status(
    "box-1a2b3c4d", RUN, True, (m.LineState("accueil", "recorded", 2),),
    (m.Committed(PART, 4096, 160000),), (ALARM,),
    m.Storage(10**9, 10**10, None, "alarm", "away", 3),
    m.ClockState(1_795_305_600_000_000_000, "build"), 120,
    m.OfficeState(3, 81_920, 1_795_305_600_000_000_000, 40, 0, 812), "A",
)  # fmt: skip
HASH = "be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991"
NOTE = "greffier/box-1a2b3c4d\n8\n/pztbe18yNvia0NLBuVbrk7oyqhTqCAlnkwsRRE3vw8=\n\n— k aWk=\n"
SEALED = t.Sealed(PART, RUN, 17, 4096, HASH, 1_795_305_600_000_000_000, 0, True)
SYNC = t.SyncState(
    "box-1a2b3c4d", "sending", 4, 3, 2, 1, 0, 81_920, 1_795_305_600_000_000_000, 900_000,
    1_000_000, 812, 811, 800, 1_795_305_600_000_000_000, 0, 41, 40, 0, "",
    1_795_305_600_000_000_000,
)  # fmt: skip
TOLD = r.Told(
    True, 1, (r.Said("done", PART, "DELETE_DUE", "", 1_795_305_600_000_000_000),), 81_920,
    1_795_305_600_000_000_000, "cosignature",
)  # fmt: skip
HOLD = r.HoldState(
    PART, "", (PART,), "RG 24/0381", "floor", 1_795_305_600_000_000_000, 0, True
)  # fmt: skip
CALL = "box-1a2b3c4d/accueil/0000000012"
DESK_CALL = d.DeskCall(CALL, "accueil", "101", "agent-12", 1_795_305_600_000_000_000, True)
ORDERED = d.Instruction(
    PART, "end_call", "accueil", CALL, "101", ("page", "relais"), 1_795_305_600_000_000_000,
    1_795_305_610_000_000_000,
)  # fmt: skip
NOTICE = m.Notice(9, "raised", 1_795_305_600_000_000_000, ALARM)
REQUESTS: list[m.Request] = [
    m.AskStatus(), m.AskLevels(), m.AskAlarms(), m.AskAlarms(41), m.Acknowledge(7),
    m.Pause(line="accueil"), m.Pause(call="box-1a2b3c4d/accueil/0000000012"),
    m.Resume(line="accueil"), m.Replay("urgence", 30), m.Stop(),
    f.Tell(PART, "consent", "out", "key", call="box-1a2b3c4d/accueil/0000000012"),
    f.Tell(PART, "agent", "Zoé", "api", line="accueil", at_ns=1_795_305_600_000_000_000),
    f.Tell(PART, "mifid", "no", "console", recording=RUN, actor="anne"),
    t.AskWork(), t.AskWork(17, 256), t.AskPart(PART), t.AskEntries(811), t.AskLeaves(),
    t.Receipts(("greffier/receipt@v1\n", "x")), t.Cosigned(NOTE),
    t.SyncReport(False, 3, 81_920, 1_795_305_600_000_000_000, ("sync.offline",)),
    r.Purge(), r.Purge(1 << 30, True), r.Purge(confirmed_by=("anne", "Jean-Marc")),
    r.PlaceHold(PART, "RG 24/0381", "suspend", ("anne", "bruno"), 1_795_305_600_000_000_000),
    r.ReleaseHold(PART, ("anne", "bruno")), r.AskHolds(),
    r.Erase((PART,), "DSAR 12", True, 0, False), r.AskTold(1, 1000),
    r.Enter("use.restricted", '{"request": "DSAR 12"}', PART, ("anne",)),
    t.AskSync(), t.SyncNow(), t.SyncNow(PART), t.SyncPause(1_795_305_600_000_000_000),
    d.AskCalls(), d.AskCalls(("101",), ("agent-12",)), d.AskInstructions(),
    d.Acted(PART, "done", "relais"), d.Acted(PART, "no_output"),
    g.AdoptPolicy("eJwDAAAAAAE=", "greffier-policy\nx\n\n— k aWk=\n"),
]  # fmt: skip
ANSWERS: list[m.Answer] = [
    STATUS,
    m.Levels((m.Level("accueil", "accueil/1", -3210, -1204, 0),)),
    m.Alarms(RUN, 9, (ALARM,), (NOTICE,), 0),
    m.Done(), m.Done(False), m.Failure("refused", "replay_not_available"),
    m.Failure("refused", "nothing_kept"),
    f.FactTaken("taken", "", ("SAMPLED_IN", "OBJECTED")), f.FactTaken("refused", "no_such_call"),
    t.Work("box-1a2b3c4d", 812, NOTE, 3, (SEALED,), True),
    t.PartHanded("AQHJo1Zf"), t.EntriesHanded(65_536),
    t.Taken(("received", "known", "forged", "other")), SYNC,
    r.Ticket(3), TOLD, r.HoldStates((HOLD,)),
    d.Calls((DESK_CALL,), (d.LineRule("accueil", True), d.LineRule("cse", False))),
    d.Instructions(RUN, (ORDERED,)), d.Instructions(RUN, ()),
]  # fmt: skip


def envelope(name: object = "status", body: object = None, v: object = 1) -> str:
    """A payload that is well formed outside."""
    return canonical.dump({"v": v, "is": name, "body": {} if body is None else body}).decode()


def changed(message: m.Answer, name: str, *path: str | int, value: object = None) -> str:
    """The payload of *message* with one value replaced (removed where *value* is ...)."""
    found = json.loads(write_answer(message)[4:])
    place = found["body"]
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert found["is"] == name
    return canonical.dump(found).decode()


def told(**changes: object) -> str:
    """The payload of a fact, with some of its keys replaced or added."""
    body = {
        "call": "box-1a2b3c4d/accueil/0000000012", "line": "", "recording": "", "id": PART,
        "actor": "", "source": "key", "fact": "consent", "value": "out", "at_ns": "0",
    }  # fmt: skip
    return envelope("fact", {**body, **changes})


BAD_REQUESTS = {
    "empty object": "{}",
    "a list": "[]",
    "a number": "1",
    "null": "null",
    "not JSON": "{",
    "nested beyond measure": "[" * 2000,
    "a space that is not canonical": '{"body": {},"is":"status","v":1}',
    "keys out of order": '{"is":"status","body":{},"v":1}',
    "a key twice": '{"body":{},"body":{},"is":"status","v":1}',
    "version 2": envelope(v=2),
    "version true": envelope(v=True),
    "version as text": envelope(v="1"),
    "no version": '{"body":{},"is":"status"}',
    "one key more": '{"body":{},"is":"status","to":1,"v":1}',
    "an unknown kind": envelope("reboot"),
    "an answer as request": envelope("done", {"changed": True}),
    "a kind that is a number": envelope(3),
    "a kind that is a list": envelope(["status"]),
    "a body that is a list": envelope("status", []),
    "a body with a key too many": envelope("status", {"all": True}),
    "alarms without after": envelope("alarms"),
    "after below zero": envelope("alarms", {"after": -1}),
    "after true": envelope("alarms", {"after": True}),
    "after as text": envelope("alarms", {"after": "1"}),
    "after with a fraction": '{"body":{"after":1.5},"is":"alarms","v":1}',
    "after beyond 2**53": '{"body":{"after":9007199254740992},"is":"alarms","v":1}',
    "acknowledge nothing": envelope("acknowledge", {"alarm": None}),
    "a policy that is no base64": envelope("policy_adopt", {"content": "{}", "signature": "x"}),
    "a policy without signature": envelope("policy_adopt", {"content": "eJwDAAAAAAE="}),
    "a policy too long": envelope("policy_adopt", {"content": "A" * 11_004, "signature": "x"}),
    "pause of nothing": envelope("pause", {"line": "", "call": ""}),
    "pause of both": envelope("pause", {"line": "a", "call": "b/a/0000000001"}),
    "pause without call": envelope("pause", {"line": "a"}),
    "a line that is a path": envelope("pause", {"line": "../x", "call": ""}),
    "a line that is a number": envelope("pause", {"line": "0123456789", "call": ""}),
    "a line too long": envelope("pause", {"line": "a" * 65, "call": ""}),
    "a line with a line feed": envelope("pause", {"line": "a\n", "call": ""}),
    "a line in other digits": envelope("pause", {"line": "\u0661", "call": ""}),
    "a call that is no uid": envelope("resume", {"line": "", "call": "12"}),
    "replay of no time": envelope("replay", {"line": "a", "seconds": 0}),
    "replay of an hour": envelope("replay", {"line": "a", "seconds": 3600}),
    "replay of no line": envelope("replay", {"line": "", "seconds": 30}),
    "a hold by a word": envelope("hold_release", {"hold": PART, "by": "anne"}),
    "a person with a line feed": envelope("hold_release", {"hold": PART, "by": ["anne\n"]}),
    "a hold for ever": envelope(
        "hold_place",
        {"target": PART, "reference": "A", "mode": "ever", "by": [], "review_ns": "0"},
    ),
    "a purge of less than nothing": envelope(
        "purge", {"space": -1, "dry": False, "confirmed_by": []}
    ),
    "an entry whose text is no object": envelope(
        "enter",
        {
            "kind": "role.granted",
            "data": "[]",
            "recording": "",
            "by": [],
            "person": "",
            "signatures": [],
        },
    ),
    "an erasure of a number": envelope(
        "erase",
        {
            "recordings": ["+33478123456"],
            "request": "A",
            "contestable": True,
            "asked_ns": "0",
            "dpo_agreed": False,
        },
    ),
    "told of no order": envelope("told", {"ticket": 0, "after": 0}),
    "a fact about nothing": told(call=""),
    "a fact about two things": told(line="accueil"),
    "a fact by nobody's way": told(source="rumour"),
    "a fact in capitals": told(fact="CONSENT"),
    "a fact of two lines": told(value="out\n"),
    "a fact too long": told(value="x" * 65),
    "an actor too long": told(actor="x" * 65),
    "a fact without an id": told(id=""),
    "a fact with an id in capitals": told(id="F" * 32),
    "a fact at a number": told(at_ns=1),
    "a fact of a caller's number": told(call="+33478123456"),
    "a fact of a word too many": told(why="so"),
    "stop now": envelope("stop", {"now": True}),
    "calls of a number": envelope("calls", {"extensions": ["0478123456"], "agents": []}),
    "calls of nobody named": envelope("calls", {"extensions": [""], "agents": []}),
    "calls of an extension alone": envelope("calls", {"extensions": "101", "agents": []}),
    "acted on nothing": envelope("acted", {"instruction": "", "outcome": "done", "output": ""}),
    "acted somehow": envelope("acted", {"instruction": PART, "outcome": "ok", "output": ""}),
}
BAD_ANSWERS = {
    "a request as answer": envelope("stop"),
    "status without a body": envelope("status"),
    "armed as text": changed(STATUS, "status", "armed", value="yes"),
    "armed as number": changed(STATUS, "status", "armed", value=1),
    "no clock": changed(STATUS, "status", "clock", value=...),
    "clock null": changed(STATUS, "status", "clock", value=None),
    "a time as number": changed(STATUS, "status", "clock", "lower_bound_ns", value=1),
    "a time with a leading zero": changed(STATUS, "status", "clock", "lower_bound_ns", value="01"),
    "a time below zero": changed(STATUS, "status", "clock", "lower_bound_ns", value="-1"),
    "a time beyond 2**63": changed(
        STATUS, "status", "clock", "lower_bound_ns", value="9223372036854775808"
    ),
    "a line in an unknown state": changed(STATUS, "status", "lines", 0, "state", value="ok"),
    "a part that is none": changed(STATUS, "status", "committed", 0, "part", value="ff"),
    "a part in capitals": changed(STATUS, "status", "committed", 0, "part", value="F" * 32),
    "bytes null": changed(STATUS, "status", "committed", 0, "bytes", value=None),
    "lines as object": changed(STATUS, "status", "lines", value={}),
    "a severity of its own": changed(STATUS, "status", "alarms", 0, "severity", value="fatal"),
    "a subject that is a number": changed(
        STATUS, "status", "alarms", 0, "subject", value="+33478123456"
    ),
    "too many lines": changed(STATUS, "status", "lines", value=[None] * 4097),
    "a level beyond full scale": envelope(
        "levels",
        {"levels": [{"line": "a", "channel": "a", "rms_mb": 2001, "peak_mb": 0, "clipped": 0}]},
    ),
    "a failure of no kind": envelope("failure", {"code": "oops", "reason": "late"}),
    "a failure with a sentence": envelope("failure", {"code": "busy", "reason": "not now"}),
    "a result that is none": envelope("taken", {"results": ["believed"]}),
    "an envelope that is no base64": envelope("part", {"envelope": "A B="}),
    "a part that was sealed elsewhere": changed(STATUS, "status", "office", "waiting", value=-1),
    "no office": changed(STATUS, "status", "office", value=...),
    "a deed of no kind": changed(TOLD, "told", "said", 0, "what", value="perhaps"),
    "a code in small letters": changed(TOLD, "told", "said", 0, "code", value="due"),
    "a ticket of nothing": envelope("ticket", {"ticket": 0}),
    "a hold in no mode": changed(r.HoldStates((HOLD,)), "holds", "holds", 0, "mode", value=""),
    "a fact taken perhaps": envelope("fact_taken", {"state": "maybe", "code": "", "codes": []}),
    "a fact with a sentence": envelope(
        "fact_taken", {"state": "refused", "code": "not now", "codes": []}
    ),
    "done perhaps": envelope("done", {"changed": None}),
}


def main() -> None:
    """Write the file."""
    vectors = {
        "requests": [write_request(one).hex() for one in REQUESTS],
        "answers": [write_answer(one).hex() for one in ANSWERS],
        "bad_requests": BAD_REQUESTS,
        "bad_answers": BAD_ANSWERS,
    }
    path = Path(__file__).with_name("messages.json")
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=True) + "\n", "ascii")


if __name__ == "__main__":
    main()
