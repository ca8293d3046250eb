"""A day's log before it is numbered, the policies it may be lived under, and who lives it.

See :mod:`greffier_sim.sampling_days`, which writes the days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from greffier.audit.entry import Entry
from greffier.policy import packs, rules
from greffier.policy.site import Agents, Policy
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role

DEVICE: Final = "box-0007"
AGENTS: Final = tuple(f"agent-{number}" for number in range(1, 7))
PACKS: Final = packs.load()
_RETAIL: Final = rules.load(rules.builtin("fr-retail.toml"))


@cache
def office() -> PrivateKey:
    """Head office's key, the same for all days of a process."""
    return keys.generate(Role.OFFICE)


def policies() -> dict[str, Policy]:
    """Those that the days are lived under, by SHA-256."""
    tight = replace(_RETAIL.sampling, agent_quota_month=2, rate=0.30)
    own = Agents(frozenset({"agent-6"}), {"agent-5": 0.05}, {})
    found = [
        _RETAIL,
        replace(_RETAIL, sampling=tight, agents=own, sha256="a1" * 32),
        replace(
            _RETAIL,
            windows=(),
            sampling=replace(_RETAIL.sampling, strata=("queue",), rate=0.45),
            sha256="a2" * 32,
        ),
        replace(
            _RETAIL,
            sampling=replace(_RETAIL.sampling, method="slots", slots_month=20),
            sha256="a3" * 32,
        ),
    ]
    return {one.sha256: one for one in found}


@dataclass(frozen=True, slots=True)
class Said:
    """One entry before it has a number."""

    ev: str
    data: Mapping[str, Any]
    t_ns: int
    mono_ns: int
    boot: str


@dataclass(slots=True)
class Story:
    """A log, and the secrets with which it was made (a thief may know them too)."""

    said: list[Said]
    policy: Policy
    epochs: dict[str, bytes]
    slots_key: bytes
    agents_key: bytes
    month: str
    day: str

    def entries(self, said: Iterable[Said] | None = None) -> list[Entry]:
        """The log as a box would write and sign it, numbered from 0."""
        return [
            Entry(
                *(seq, one.boot, one.mono_ns, one.t_ns, one.t_ns, "persisted"),
                *(one.ev, None, f"{seq:032x}", one.data),
            )
            for seq, one in enumerate(self.said if said is None else said)
        ]
