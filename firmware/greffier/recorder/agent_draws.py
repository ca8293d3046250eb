"""What the draw of a call becomes when its agent is known: the quota, the slot, and the log of it.

docs/sampling.md sections 3 and 4. Counts come from the log (:mod:`greffier.recorder.agent_counts`),
so a restart forgets none. The recorder's thread owns an AgentDraws.
"""

from dataclasses import replace
from typing import Any

from greffier.policy import sampling
from greffier.policy.facts import PENDING, Facts
from greffier.policy.purposes import SAMPLED
from greffier.policy.site import Policy
from greffier.policy.verdict import Verdict
from greffier.recorder.archive import Archive
from greffier.recorder.rules import Rules
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier.trust import LogKey


def matter(policy: Policy) -> bool:
    """Whether a draw under *policy* hangs on the agent: only then the log speaks of agents."""
    method, agents = policy.sampling, policy.agents
    counted = method.method == "slots" or method.agent_quota_month is not None
    return counted or bool(agents.never or agents.rates)


class AgentDraws:
    """One for all that write into *archive*; *key* is its log's."""

    def __init__(self, archive: Archive, key: LogKey) -> None:
        self._archive = archive
        self._secret = key.private.private_bytes_raw()

    def facts(self, uid: str, policy: Policy, agent: str, start_ns: int) -> dict[str, object]:
        """The facts that follow from *agent* for the call *uid*, which began at *start_ns*.

        Asks only: nothing is counted, and nothing is logged.
        """
        if not matter(policy):
            return {}
        month = _month(policy, start_ns)
        pseudonym = self._pseudonym(month, agent)
        return {"quota_used": self._archive.agents.used(month, pseudonym, uid)}

    def known(self, uid: str, rules: Rules, facts: Facts) -> tuple[Facts, dict[str, Any]]:
        """*facts* with what follows from their agent, and what the decision's entry says of it.

        Nothing follows where the agent is not known, or does not matter on this line.
        """
        start_ns = facts.t_start
        if facts.agent in ("", PENDING) or start_ns is None or not _sampled(rules):
            return facts, {}
        if not matter(rules.policy):
            return facts, {}
        told = self._told(uid, rules.policy, facts.agent, start_ns)
        if "quota_used" not in rules.given:
            facts = replace(facts, quota_used=told["used"])
        return facts, told

    def count(self, uid: str, rules: Rules, facts: Facts, verdict: Verdict) -> None:
        """The agent of the running call *uid* became known: *facts* and *verdict* are of then.

        Logged before anything of the call is kept. Nothing where it does not matter.
        """
        start_ns = facts.t_start
        if facts.agent in ("", PENDING) or start_ns is None or not _sampled(rules):
            return
        if matter(rules.policy):
            told = self._told(uid, rules.policy, facts.agent, start_ns)
            data = {"uid": uid, **told, "codes": list(verdict.codes)}
            self._archive.learn(self._archive.log.append("call.counted", None, data))

    def _told(self, uid: str, policy: Policy, agent: str, start_ns: int) -> dict[str, Any]:
        month = _month(policy, start_ns)
        self._open(month)
        pseudonym = self._pseudonym(month, agent)
        used = self._archive.agents.used(month, pseudonym, uid)
        return {"agent": pseudonym, "month": month, "used": used}

    def _pseudonym(self, month: str, agent: str) -> str:
        return sampling.agent_pseudonym(sampling.agents_key(self._secret, month), agent)

    def _open(self, month: str) -> None:
        """Seal the month's key to head office, once, before the first pseudonym."""
        if self._archive.agents.opened_ns(month) is not None:
            return
        office = self._archive.recipients[0]
        key = sampling.agents_key(self._secret, month)
        block = envelope.seal(key, What.SAMPLING, envelope.epoch_id(month), [office])
        data = {"month": month, "agents": block.hex(), "office_key": office.key_id.hex()}
        self._archive.learn(self._archive.log.append("month.opened", None, data))


def _sampled(rules: Rules) -> bool:
    line = rules.policy.lines.get(rules.line)
    return line is not None and any(one in SAMPLED for one in line.voluntary)


def _month(policy: Policy, start_ns: int) -> str:
    return sampling.month_of(policy.local_day(start_ns))
