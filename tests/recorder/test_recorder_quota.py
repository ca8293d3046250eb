"""An agent's quota and the log of it: counted from the log, over restarts, by month."""

from pathlib import Path

import pytest
from tests.stories.box import PAIR, RETAIL, Box

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.policy import sampling
from greffier.recorder.agent_counts import MOST_MONTHS, AgentCounts
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier_sim import captures

MARCH, APRIL = "2026-03", "2026-04"
ANNE, PAUL = "aa" * 16, "bb" * 16


def entry(ev: str, t_ns: int = 0, **data: object) -> Entry:
    return Entry(0, "0" * 32, 0, t_ns, 0, "build", ev, None, "0" * 32, data)


def decided(number: int, agent: str, *codes: str, month: str = MARCH) -> Entry:
    uid = f"box-7/l1/{number:010d}"
    told = {"agent": agent, "month": month} if agent else {}
    return entry("call.decided", uid=uid, at_ns=number, codes=[*codes], **told)


def ended(number: int, record: str) -> Entry:
    return entry("call.ended", uid=f"box-7/l1/{number:010d}", record=record)


def read(*entries: Entry) -> AgentCounts:
    counts = AgentCounts()
    for one in (entry("month.opened", 5, month=MARCH), *entries):
        counts.read(one)
    return counts


def test_only_calls_that_are_or_may_be_kept_count() -> None:
    counts = read(
        decided(1, ANNE, "SAMPLED_IN"),
        decided(2, ANNE, "SAMPLED_OUT"),
        decided(3, PAUL, "SAMPLED_IN", "NOTICE_PENDING"),
        decided(4, ANNE, "SAMPLED_IN"),
        ended(4, "none"),
        ended(3, "full"),
    )
    assert (counts.used(MARCH, ANNE, ""), counts.used(MARCH, PAUL, "")) == (1, 1)
    assert counts.used(APRIL, ANNE, "") == 0


def test_an_agent_who_becomes_known_later_counts_from_then() -> None:
    counted = entry(
        "call.counted", uid="box-7/l1/0000000001", agent=ANNE, month=MARCH, codes=["SAMPLED_IN"]
    )
    assert read(decided(1, "", "SAMPLED_IN")).used(MARCH, ANNE, "") == 0
    assert read(decided(1, "", "SAMPLED_IN"), counted).used(MARCH, ANNE, "") == 1


def test_a_month_that_was_never_opened_counts_nothing() -> None:
    counts = AgentCounts()
    counts.read(decided(1, ANNE, "SAMPLED_IN"))
    assert counts.used(MARCH, ANNE, "") == 0 and counts.opened_ns(MARCH) is None


def test_old_months_are_forgotten() -> None:
    counts = read(decided(1, ANNE, "SAMPLED_IN"))
    for month in (APRIL, "2026-05"):
        counts.read(entry("month.opened", month=month))
    assert MOST_MONTHS == 2
    assert counts.opened_ns(MARCH) is None and counts.used(MARCH, ANNE, "") == 0
    counts.read(ended(1, "none"))  # its end is no surprise


def test_a_summary_keeps_all_of_it() -> None:
    first = read(decided(1, ANNE, "SAMPLED_IN"), decided(2, PAUL, "SAMPLED_IN"))
    again = AgentCounts()
    again.become(first)
    assert again.dump() == first.dump()
    for counts in (first, again):
        counts.read(ended(1, "none"))
        assert counts.used(MARCH, ANNE, "") == 0 and counts.used(MARCH, PAUL, "") == 1
    with pytest.raises((KeyError, TypeError, AttributeError)):
        AgentCounts.load({"months": {}})


class Branch:
    """A box whose policy lets one call of each agent and month be kept."""

    def __init__(self, folder: Path) -> None:
        self.box = Box(folder)
        self.policy = folder / "policy.toml"
        text = RETAIL.read_text().replace("agent_quota_month = 12", "agent_quota_month = 1")
        assert text != RETAIL.read_text()
        self.policy.write_text(text)

    def call(self, agent: str, number: int, facts: str = "") -> dict[str, object]:
        at_ns = 1_772_443_800_000_000_000 + number * 60_000_000_000  # a Monday of March 2026
        plan = captures.Plan(call_id=f"{number}@sim", start_ns=at_ns)
        said = self.box.bring(
            captures.call(plan), policy=self.policy, facts=f"agent={agent} {facts}"
        )
        assert said.code == 0, said.err
        (listed,) = said.json["calls"]
        return dict(listed)


def test_the_quota_of_an_agent_outlives_every_restart(tmp_path: Path) -> None:
    branch = Branch(tmp_path)
    assert branch.call("anne", 1)["codes"] == ["SAMPLED_IN"]
    assert branch.call("anne", 2)["codes"] == ["QUOTA_REACHED"]  # each import is another process
    assert branch.call("paul", 3)["codes"] == ["SAMPLED_IN"]
    assert branch.call("paul", 4)["record"] == "none"


def test_a_call_of_which_nothing_is_kept_leaves_the_quota_as_it_was(tmp_path: Path) -> None:
    branch = Branch(tmp_path)
    assert branch.call("anne", 1, "consent=out")["record"] == "none"
    assert branch.call("anne", 2)["codes"] == ["SAMPLED_IN"]
    assert branch.call("anne", 3)["codes"] == ["QUOTA_REACHED"]


def test_the_log_names_agents_so_that_head_office_alone_can_tell(tmp_path: Path) -> None:
    branch = Branch(tmp_path)
    branch.call("anne", 1)
    branch.call("anne", 2)
    entries = list(verify.entries(branch.box.data))
    (opened,) = [one for one in entries if one.ev == "month.opened"]
    sealed = bytes.fromhex(opened.data["agents"])
    key = envelope.open_block(sealed, What.SAMPLING, envelope.epoch_id(MARCH), PAIR)
    calls = [one.data for one in entries if one.ev == "call.decided"]
    assert [one["agent"] for one in calls] == [sampling.agent_pseudonym(key, "anne")] * 2
    assert [one["used"] for one in calls] == [0, 1]
    assert {one["month"] for one in calls} == {MARCH}
    assert verify.verify(branch.box.data).problems == ()
