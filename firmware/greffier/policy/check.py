"""The compiler's checks: what keeps a policy from being adopted, and what the law changes in it.

An *error* refuses the policy; a *warning* says that the law lowered or raised what the site wrote.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from greffier.policy import purposes
from greffier.policy.combination import (
    Law,
    consent_needed,
    emergency_days,
    law_for,
    pack_listing,
    rate_cap,
    voluntary_days,
)
from greffier.policy.packs import CONSENT_LEVELS, Packs
from greffier.policy.references import missing
from greffier.policy.rules import SCREENSHOTS, parse
from greffier.policy.site import Policy

ERROR, WARNING = "error", "warning"
WARNINGS = ("C_RATE_CLAMPED_SOFT", "C_CONSENT_RAISED", "C_RETENTION_CLAMPED")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``subject`` is what it is about where a code alone is not enough."""

    code: str
    subject: str = ""
    detail: str = ""

    @property
    def severity(self) -> str:
        """ "error" or "warning"."""
        return WARNING if self.code in WARNINGS else ERROR

    @property
    def label(self) -> str:
        """The code, with the subject behind a colon where there is one."""
        return f"{self.code}:{self.subject}" if self.subject else self.code


@dataclass(frozen=True, slots=True)
class _Subject:
    policy: Policy
    packs: Packs
    law: Law
    today: date | None

    @property
    def voluntary(self) -> bool:
        return any(line.voluntary for line in self.policy.lines.values())


def check(
    policy: Policy | Mapping[str, object], packs: Packs, today: date | None = None
) -> list[Finding]:
    """The findings about *policy* (a Policy or its parsed tables) under *packs*.

    *today* decides whether a dated justification has expired (None: it has not). Raises BadPolicy.
    """
    site = policy if isinstance(policy, Policy) else parse(policy)
    subject = _Subject(site, packs, law_for(site, packs), today)
    return [finding for rule in _RULES for finding in rule(subject)]


def labels(findings: list[Finding]) -> list[str]:
    """The labels of *findings*, none twice."""
    return list(dict.fromkeys(finding.label for finding in findings))


def _rate(subject: _Subject) -> Iterator[Finding]:
    sampling = subject.policy.sampling
    justification = sampling.justification
    justified = justification is not None and justification.holds_on(subject.today)
    cap = rate_cap(subject.law, justified=justified)
    if sampling.rate >= 1.0:
        yield Finding("C_RATE_FULL_VOLUNTARY", detail=f"{sampling.rate:g}")
    elif sampling.rate > cap:
        yield Finding("C_RATE_CLAMPED_SOFT", detail=f"{sampling.rate:g} > {cap:g}")


def _consent(subject: _Subject) -> Iterator[Finding]:
    policy = subject.policy
    basis = policy.governance.has("lia_ref")
    needed = consent_needed(policy, subject.law, legitimate_interest=basis)
    if subject.voluntary and policy.consent.mode < needed:
        before, after = CONSENT_LEVELS[policy.consent.mode], CONSENT_LEVELS[needed]
        yield Finding("C_CONSENT_RAISED", detail=f"{before} > {after}")


def _retention(subject: _Subject) -> Iterator[Finding]:
    for name, days in subject.policy.retention.days.items():
        if name in purposes.SITE_DAYS and name in subject.law.max_days:
            cap = voluntary_days(subject.policy, subject.law, name)
            if days > cap:
                yield Finding("C_RETENTION_CLAMPED", name, f"{days} > {cap}")


def _sampling(subject: _Subject) -> Iterator[Finding]:
    policy = subject.policy
    if policy.sampling.decide_at == "end":
        yield Finding("C_DECIDE_AT_END_FORBIDDEN")
    emergency = any(line.emergency for line in policy.lines.values())
    if policy.sampling.pre_roll_s or (policy.capture.pre_roll_s and not emergency):
        yield Finding("C_PREROLL_FORBIDDEN")


def _governance(subject: _Subject) -> Iterator[Finding]:
    for reference in missing(subject.policy, subject.packs):
        yield Finding(reference.code, detail=", ".join(reference.names))
    signers = {name.strip() for name in subject.policy.governance.changed_by} - {""}
    if len(signers) < 2:
        yield Finding("C_FOUR_EYES")


def _analytics(subject: _Subject) -> Iterator[Finding]:
    policy = subject.policy
    if policy.analytics.emotion_inference:
        yield Finding("C_EMOTION_FORBIDDEN")
    if policy.analytics.screen_capture in SCREENSHOTS:
        yield Finding("C_SCREENSHOT_FORBIDDEN")
    if policy.analytics.screen_capture == "video":
        used = {name for line in policy.lines.values() for name in line.purposes}
        if used - {"training"} or not policy.windows:
            yield Finding("C_SCREEN_VIDEO_TRAINING_ONLY")


def _pause(subject: _Subject) -> Iterator[Finding]:
    if subject.policy.pause.auto_resume:
        yield Finding("C_AUTORESUME_FORBIDDEN")


def _continuous(subject: _Subject) -> Iterator[Finding]:
    policy = subject.policy
    if not policy.capture.continuous:
        return
    recording = [line for line in policy.lines.values() if not line.never]
    own_text = policy.retention.retention_ref.strip() and policy.governance.has("legal_basis_ref")
    for line in recording:
        kind = line.sector.removeprefix("emergency_")
        listed = line.emergency and pack_listing(policy, subject.packs, kind)
        if not listed and not (line.emergency and own_text):
            yield Finding("C_CONTINUOUS_SECTOR", detail=line.name)
    if not recording:
        yield Finding("C_CONTINUOUS_SECTOR")


def _mandatory_retention(subject: _Subject) -> Iterator[Finding]:
    policy, days = subject.policy, subject.policy.retention.days
    if days.get("regulatory", purposes.MIFID_DAYS) < purposes.MIFID_DAYS:
        yield Finding("C_MIFID_RETENTION_SHORT", detail=f"{days['regulatory']}")
    pack = pack_listing(policy, subject.packs, "medical")
    needed = pack.emergency["medical"][0] if pack else 0
    if days.get("emergency_medical", needed) < needed:
        yield Finding("C_SAMU_RETENTION_SHORT", detail=f"{days['emergency_medical']} < {needed}")
    if policy.retention.retention_ref.strip():
        return
    for name in purposes.EMERGENCY:
        low, high = emergency_days(policy, subject.packs, subject.law, name)
        if not low and days.get(name, high) > high:
            yield Finding("C_RETENTION_CLAMPED", name, f"{days[name]} > {high}")


def _conflict(subject: _Subject) -> Iterator[Finding]:
    """A minimum of one country above the maximum of another does not compile by itself."""
    policy = subject.policy
    if policy.conflict_ref.strip():
        return
    for line in policy.lines.values():
        kind = line.sector.removeprefix("emergency_")
        pack = pack_listing(policy, subject.packs, kind) if line.emergency else None
        if pack and subject.law.min_days.get(kind, 0) > pack.emergency[kind][1]:
            yield Finding("C_MIN_ABOVE_MAX", line.sector)


_RULES: tuple[Callable[[_Subject], Iterator[Finding]], ...] = (
    _rate,
    _consent,
    _retention,
    _sampling,
    _governance,
    _analytics,
    _pause,
    _continuous,
    _mandatory_retention,
    _conflict,
)
