"""Reads a site's policy (schema ``callpolicy/1``) from TOML into the records of ``site``.

Whoever writes a policy is not a programmer: a file with wrong keys is refused once, in one line
that names them all. A key that nobody knows is refused too, since a misspelt safeguard is none.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from greffier.config.fields import Problems, Table
from greffier.errors import BadPolicy
from greffier.language import translate
from greffier.policy import purposes, windows
from greffier.policy.packs import CONSENT_LEVELS, LONGEST_DAYS
from greffier.policy.site import (
    Agents,
    Analytics,
    Announce,
    AuthorityOrder,
    Capture,
    Consent,
    Governance,
    Justification,
    Line,
    Notice,
    Pause,
    Policy,
    Retention,
    Sampling,
    Sync,
    in_window,
)

__all__ = ["Line", "Policy", "builtin", "in_window", "load", "parse", "read_tables"]

SCHEMA = "callpolicy/1"
FAIL_MODES = ("closed", "open", "block_call")
SCREENSHOTS = ("screenshot", "screenshots")
SCREEN_CAPTURE = ("off", *SCREENSHOTS, "video")
CODECS = ("opus", "original", "flac")
REFERENCES = (
    "register_ref",
    "works_council_ref",
    "individual_consent_ref",
    "union_agreement_ref",
    "labour_inspectorate_ref",
    "dpo_ref",
    "lia_ref",
    "cndp_ref",
    "cndp_transfer_ref",
    "inpdp_ref",
    "scc_ref",
    "mifid_policy_ref",
    "legal_basis_ref",
    "archives_visa_ref",
    "retention_ref",
    "device_law_memo",
    "conflict_ref",
)
_KEY = re.compile(r"[0-9*#]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def load(path: Path) -> Policy:
    """The policy in the TOML file *path*. Raises BadPolicy, naming every wrong key."""
    tables, sha256 = read_tables(path)
    return parse(tables, sha256, str(path))


def builtin(name: str) -> Path:
    """The path of the example policy *name* (such as ``fr-retail.toml``) that we ship."""
    return Path(str(resources.files("greffier.policy") / "data" / name))


def read_tables(path: Path) -> tuple[dict[str, object], str]:
    """The tables of the TOML file *path* and the SHA-256 of its bytes. Raises BadPolicy."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadPolicy(path=str(path), reason=reason) from error
    return tables_of(data, str(path)), hashlib.sha256(data).hexdigest()


def tables_of(data: bytes, path: str = "-") -> dict[str, object]:
    """The tables of the TOML in *data*; *path* names it in the error. Raises BadPolicy."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadPolicy(path=path, reason=translate("it is not UTF-8 text")) from error
    except (ValueError, RecursionError) as error:  # also an integer of thousands of digits
        raise BadPolicy(path=path, reason=str(error)) from error


def of_content(data: bytes, path: str = "-") -> Policy:
    """The policy in the file content *data*; *path* names it in the error. Raises BadPolicy."""
    return parse(tables_of(data, path), hashlib.sha256(data).hexdigest(), path)


def parse(tables: Mapping[str, object], sha256: str = "", path: str = "-") -> Policy:
    """The policy of parsed *tables*; *path* names it in the error. Raises BadPolicy."""
    problems = Problems()
    top = Table(tables, "", problems)
    top.choice("schema", (SCHEMA,))
    governance, references = _governance(top)
    pause = _pause(top)
    lines = _lines(top, pause.backdate_s)
    sampled = any(set(line.purposes) & set(purposes.SAMPLED) for line in lines.values())
    capture, analytics = top.table("capture"), top.table("analytics")
    sync, access = top.table("sync", needed=True), top.table("access")
    policy = Policy(
        id=top.text("id"),
        version=top.whole("version", 0, 2**31),
        controller=top.country("controller"),
        employee=top.country("employee"),
        device=top.country("device"),
        market=top.country("market"),
        timezone=_timezone(top),
        fail_mode=top.choice("fail_mode", FAIL_MODES),
        governance=governance,
        windows=_windows(top),
        consent=_consent(top),
        announce=_announce(top),
        sampling=_sampling(top, needed=sampled),
        retention=_retention(top, references),
        authority_order=_authority_order(top),
        pause=pause,
        listen_requires=access.choice("listen_requires", ("", "compliance_officer"), default=""),
        analytics=Analytics(
            emotion_inference=analytics.flag("emotion_inference", default=False),
            screen_capture=analytics.choice("screen_capture", SCREEN_CAPTURE, default="off"),
        ),
        capture=Capture(
            continuous=capture.flag("continuous", default=False),
            pre_roll_s=capture.whole("pre_roll_s", 0, 60, default=0),
            instant_replay_s=capture.whole("instant_replay_s", 0, 3600, default=0),
        ),
        sync=Sync(
            destination=sync.country("destination"),
            immutable=sync.flag("immutable", default=False),
        ),
        agents=_agents(top),
        lines=MappingProxyType(lines),
        device_law_memo=top.text("device_law_memo", default="") or references["device_law_memo"],
        conflict_ref=top.text("conflict_ref", default="") or references["conflict_ref"],
        sha256=sha256,
        notice=_notice(top),
    )
    for table in (top, capture, analytics, sync, access):
        table.done()
    if problems.lines:
        raise BadPolicy(path=path, reason="; ".join(problems.lines))
    return policy


def _timezone(top: Table) -> ZoneInfo:
    name = top.text("timezone")
    try:
        return ZoneInfo(name or "UTC")
    except (LookupError, ValueError, OSError):
        top.wrong("timezone", "is not a time zone of the tz database")
        return ZoneInfo("UTC")


def _governance(top: Table) -> tuple[Governance, dict[str, str]]:
    table = top.table("governance")
    references = {name: table.text(name, default="") for name in REFERENCES}
    governance = Governance(
        references=MappingProxyType(references),
        employee_notice_on=table.day("employee_notice_on"),
        changed_by=table.texts("changed_by", default=()),
    )
    table.done()
    return governance, references


def _windows(top: Table) -> tuple[windows.Window, ...]:
    table = top.table("windows")
    found = []
    for text in table.texts("recording", default=()):
        try:
            found.append(windows.parse(text))
        except windows.BadWindow:
            table.wrong("recording", 'must hold windows such as "Mon-Fri 09:00-18:00"')
    table.done()
    return tuple(found)


def _consent(top: Table) -> Consent:
    table = top.table("consent", needed=True)
    keys = {
        "accept_key": table.text("accept_key", default="1"),
        "refuse_key": table.text("refuse_key", default="9"),
    }
    for name, value in keys.items():
        if not _KEY.fullmatch(value):
            table.wrong(name, "must be one key of a telephone")
    if keys["accept_key"] == keys["refuse_key"]:
        table.wrong("refuse_key", "must not be the accept key")
    consent = Consent(
        mode=CONSENT_LEVELS.index(table.choice("mode", CONSENT_LEVELS)),
        discard_on_objection=table.flag("discard_on_objection", default=True),
        **keys,
    )
    if not consent.discard_on_objection:
        table.wrong("discard_on_objection", "must be true: a refusal destroys what was captured")
    table.done()
    return consent


def _announce(top: Table) -> Announce:
    table = top.table("announce", needed=True)
    announce = Announce(
        languages=table.texts("languages", default=()),
        text_id=table.text("text_id"),
        on_failure=table.choice("on_failure", ("no_record", "end_call", "record")),
    )
    table.done()
    return announce


def _sampling(top: Table, *, needed: bool) -> Sampling:
    table = top.table("sampling", needed=needed)
    present = bool(table.values)
    sampling = Sampling(
        method=table.choice("method", ("bernoulli", "slots"), default="bernoulli"),
        rate=table.share("rate") if present else 0.0,
        justification=_justification(table),
        agent_quota_month=table.optional_whole("agent_quota_month", 0, 10_000),
        slots_month=table.whole("slots_month", 1, 31, default=4),
        strata=table.texts("strata", ("queue", "direction"), default=("queue", "direction")),
        decide_at=table.choice("decide_at", ("start", "end"), default="start"),
        pre_roll_s=table.whole("pre_roll_s", 0, 60, default=0),
    )
    table.done()
    return sampling


def _justification(table: Table) -> Justification | None:
    """``rate_justification_ref``: a bare reference, or the table that proves it."""
    name = "rate_justification_ref"
    if not isinstance(table.values.get(name), Mapping):
        text = table.text(name, default="")
        return Justification(text, None) if text.strip() else None
    proof = table.table(name)
    found = Justification(document=proof.text("document"), expires=proof.day("expires"))
    if "expires" not in proof.values:
        proof.wrong("expires", "is missing")
    if not re.fullmatch(r"[0-9a-f]{64}", proof.text("sha256")):
        proof.wrong("sha256", "must be 64 hexadecimal digits")
    for needed in ("controller", "impact_assessment"):
        proof.text(needed)
    proof.done()
    return found


def _retention(top: Table, references: Mapping[str, str]) -> Retention:
    table = top.table("retention", needed=True)
    days = {
        name: table.whole(name, 1, LONGEST_DAYS)
        for name in (*purposes.PURPOSES, "derived")
        if name in table.values
    }
    retention = Retention(
        days=MappingProxyType(days),
        metadata=table.whole("metadata", 1, LONGEST_DAYS, default=purposes.METADATA_DAYS),
        purge_grace=table.whole("purge_grace", 0, 366, default=purposes.PURGE_GRACE_DAYS),
        hold_mode=table.choice("hold_mode", ("floor", "suspend"), default="floor"),
        retention_ref=table.text("retention_ref", default="") or references["retention_ref"],
    )
    table.done()
    return retention


def _authority_order(top: Table) -> AuthorityOrder:
    table = top.table("authority_order")
    days = purposes.AUTHORITY_ORDER_DAYS
    order = AuthorityOrder(
        active=table.flag("active", default=False),
        days=table.whole("days", 1, LONGEST_DAYS, default=days),
        ref=table.text("ref", default=""),
    )
    table.day("date")
    table.done()
    return order


def _pause(top: Table) -> Pause:
    table = top.table("pause")
    pause = Pause(
        sources=table.texts("sources", ("dtmf", "api", "agent_key"), default=("dtmf", "api")),
        backdate_s=table.whole("backdate_s", 5, 30, default=5),
        auto_resume=table.flag("auto_resume", default=False),
        alarm_after_s=table.whole("alarm_after_s", 1, 3600, default=180),
    )
    table.done()
    return pause


def _agents(top: Table) -> Agents:
    table, teams = top.table("agents"), top.table("teams")
    rates = table.table("rate")
    agents = Agents(
        never=frozenset(table.texts("never", default=())),
        rates=MappingProxyType({name: rates.share(name) for name in rates.values}),
        teams=MappingProxyType({name: teams.texts(name) for name in teams.values}),
    )
    for each in (table, teams, rates):
        each.done()
    return agents


def _notice(top: Table) -> Notice:
    table = top.table("notice")
    keys = ("controller", "contact", "dpo", "url", "recipients")
    notice = Notice(**{key: table.text(key, default="") for key in keys})
    table.done()
    return notice


def _lines(top: Table, backdate_s: int) -> dict[str, Line]:
    lines = {}
    for name, table in top.table("lines", needed=True).tables():
        wrong_before = len(top.problems.lines)
        if not _NAME.fullmatch(name):
            table.wrong("-", "a line's name is letters, digits, - and _")
        line = Line(
            name=name,
            sector=table.choice("sector", purposes.SECTORS),
            purposes=table.texts("purposes", purposes.PURPOSES),
            internal=table.flag("internal", default=False),
            mixed=table.flag("mixed", default=False),
            codec=table.choice("codec", ("", *CODECS), default=""),
            prompt=table.text("prompt", default=""),
            backdate_s=table.whole("backdate_s", 5, 30, default=backdate_s),
        )
        duties = set(line.purposes) & set(purposes.MANDATORY)
        fits = duties == ({line.duty} if line.duty else set())
        if not fits and len(top.problems.lines) == wrong_before:
            table.wrong("purposes", "does not fit the sector {sector}", sector=line.sector)
        if line.mixed and line.sector != "mifid":
            table.wrong("mixed", "is only for the sector mifid")
        table.done()
        lines[name] = line
    if not lines:
        top.wrong("lines", "must name at least one line")
    return lines
