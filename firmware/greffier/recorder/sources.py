"""Which facts of a running call somebody is expected to tell. Pure.

What nobody would ever tell is taken as the rules take it where nobody says anything; what has a
source is waited for, in memory (SPEC of the policy: notice, consent, agent).
"""

from greffier.config.records import Config
from greffier.policy.site import Policy


def pending_of(config: Config, policy: Policy, line: str) -> frozenset[str]:
    """The facts of calls on *line* that are not known until they are told.

    The notice where the line names its prompt, which is looked for in the sound; consent wherever
    something voluntary may be recorded, since the outside party has keys; the agent where the site
    says who works where, or where nothing is drawn without an agent.
    """
    rules = policy.lines.get(line)
    if rules is None or rules.never:
        return frozenset()
    found = set()
    if rules.prompt:
        found.add("announce")
    if rules.voluntary:
        found.add("consent")
        if config.assignments or policy.sampling.method == "slots":
            found.add("agent")
    return frozenset(found)
