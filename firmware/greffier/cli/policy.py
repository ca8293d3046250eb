"""``greffier policy``: check a policy, run cases against the rules, explain a verdict."""

from collections.abc import Mapping
from pathlib import Path

import click

from greffier.cli import governing, paper, simulating
from greffier.cli.output import answer, json_option, table
from greffier.clock import SystemClock
from greffier.language import translate as _
from greffier.policy import cases as policy_cases
from greffier.policy import packs as law_packs
from greffier.policy import rules, words
from greffier.policy.check import ERROR, WARNING, Finding, check
from greffier.policy.decision import Facts, Verdict, decide

_FILE = click.Path(path_type=Path)
packs_option = click.option("--packs", type=_FILE, help=_("law packs instead of the built-in ones"))


@click.group(help=_("check, test and explain policies"))
def group() -> None:
    """The group of commands; it does nothing by itself."""


@group.command("check", help=_("what keeps a policy from being adopted, and what the law changes"))
@click.argument("policy", type=_FILE)
@packs_option
@json_option
def check_command(policy: Path, packs: Path | None, as_json: bool) -> int:
    """Print the findings; exit code 1 where one is an error."""
    laws = law_packs.load(packs)
    site = rules.load(policy)
    today = site.local_day(SystemClock().wall_ns())
    findings = {finding.label: finding for finding in check(site, laws, today)}
    counts = {
        kind: sum(finding.severity == kind for finding in findings.values())
        for kind in (ERROR, WARNING)
    }
    value = {
        "codes": list(findings),
        "errors": counts[ERROR],
        "warnings": counts[WARNING],
        "findings": [
            {
                "code": finding.label,
                "severity": finding.severity,
                "detail": finding.detail,
                **_why(finding.label),
            }
            for finding in findings.values()
        ],
    }
    answer(value, as_json, lambda: _findings_text(policy, findings))
    return 1 if counts[ERROR] else 0


@group.command("cases", help=_("run a file of cases; exit code 1 where one fails"))
@click.argument("file", type=_FILE)
@click.option("--policies", type=_FILE, help=_("folder of the policies that the cases name"))
@packs_option
@json_option
def cases_command(file: Path, policies: Path | None, packs: Path | None, as_json: bool) -> int:
    """Print how many cases pass, and the answer of each."""
    found = policy_cases.load(file)
    report = policy_cases.run(found, policies, law_packs.load(packs))
    answer(report.as_json(), as_json, lambda: _cases_text(report, found))
    return 0 if report.passed == report.total else 1


@group.command("explain", help=_("the verdict on a call with these facts, and why"))
@click.option("--policy", required=True, type=_FILE, help=_("the policy file"))
@click.option("--line", required=True, help=_("the line of the call"))
@click.option("--facts", multiple=True, metavar="K=V …", help=_("what is known of the call"))
@click.argument("more", nargs=-1, metavar="")
@packs_option
@json_option
def explain_command(
    *,
    policy: Path,
    line: str,
    facts: tuple[str, ...],
    more: tuple[str, ...],
    packs: Path | None,
    as_json: bool,
) -> int:
    """Print the verdict and one sentence and source for each of its codes."""
    site = rules.load(policy)
    known = Facts.from_words((*facts, *more), site.timezone)
    verdict = decide(site, law_packs.load(packs), line, known)
    why = words.explain(verdict.codes)
    value = {"verdict": verdict.as_json(), "why": [item.as_json() for item in why]}
    answer(value, as_json, lambda: _verdict_text(verdict, why))
    return 0


for _command in (governing.adopt_command, governing.diff_command, governing.sign_command):
    group.add_command(_command)
group.add_command(simulating.simulate_command)


def _why(label: str) -> Mapping[str, str]:
    (why,) = words.explain([label])
    return {"text": why.text, "source": why.source}


def _findings_text(policy: Path, findings: Mapping[str, Finding]) -> str:
    if not findings:
        return _("{path}: nothing to object").format(path=policy)
    severities = {ERROR: _("error"), WARNING: _("warning")}
    rows = [
        (severities[finding.severity], label, _why(label)["text"], finding.detail)
        for label, finding in findings.items()
    ]
    return table((_("severity"), _("code"), _("meaning"), _("detail")), rows)


def _cases_text(report: policy_cases.Report, found: list[dict[str, object]]) -> str:
    expected = {str(case["id"]): case["expect"] for case in found}
    lines = [
        _("{id}: got {got}, expected {expected}").format(
            id=result.id, got=result.got, expected=expected[result.id]
        )
        for result in report.results
        if not result.ok
    ]
    total = _("{passed} of {total} cases pass").format(passed=report.passed, total=report.total)
    return "\n".join([*lines, total])


def _verdict_text(verdict: Verdict, why: list[words.Why]) -> str:
    days = ", ".join(f"{name} {low}-{high}" for name, (low, high) in verdict.purposes.items())
    rows = [
        (_("record"), verdict.record),
        (_("purposes, days"), days or "-"),
        (_("announce"), verdict.announce),
        (_("action"), verdict.action),
        (_("pause"), verdict.pause),
        (_("waits for"), verdict.waiting or "-"),
    ]
    head = "\n".join(f"{name}: {value}" for name, value in rows)
    reasons = table(
        (_("code"), _("meaning"), _("source")),
        [(item.code, item.text, item.source) for item in why],
    )
    return f"{head}\n\n{reasons}"


for _word in ("notice", "record", "project"):
    group.add_command(getattr(paper, f"{_word}_command"), _word)
