"""``greffier request answer``: carry a request out as far as the law lets it, and write the letter.

Order: the deed (each with its own entries of the log), the entry that says what was answered, then
the letter. So a letter that exists is in the log by its hash.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from greffier import language
from greffier.audit import verify
from greffier.audit.requests import NOT_PROVED, Request
from greffier.cli import copying
from greffier.cli.copying import Copying
from greffier.cli.output import answer, json_option
from greffier.cli.request import by_option, day_of, entered, known_request, zone_of
from greffier.cli.retaining import Place, carried_out, data_option, policy_option
from greffier.cli.running import config_option, socket_option
from greffier.cli.shelves import policy_of
from greffier.cli.unlocking import key_option, passphrase_option
from greffier.clock import SystemClock
from greffier.control.retention import Erase
from greffier.durable import Disk
from greffier.errors import AlreadyThere, BadKeyFile, Refused, UsageError
from greffier.language import translate as _
from greffier.policy import letters, rights, words
from greffier.policy.letters import Letter
from greffier.policy.site import Policy
from greffier.recorder import registering
from greffier.recorder.erasure import NOTHING_HELD
from greffier.recorder.gone import why_gone
from greffier.recorder.handover import SIDES
from greffier.recorder.holding import DESTROYED
from greffier.store import layout
from greffier.store.ageing import Ageing

LONGEST_STATEMENT = 1 << 20
Reasons = list[tuple[str, str]]


@dataclass(slots=True)
class Deed:
    """What became of a request: codes, each with the purpose it is about ("": all)."""

    reasons: Reasons = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    statement: str = ""
    masked: bool = False


@click.command(help=_("Carry a request out as far as the law lets it, and write the letter."))
@click.argument("request")
@click.option(
    "--letter",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help=_("where the letter is written: a name that ends with .txt or .html"),
)
@click.option(
    "--letter-lang",
    type=click.Choice(language.LANGUAGES),
    default=language.DEFAULT,
    show_default=True,
    help=_("the language of the letter"),
)
@click.option("--refuse", type=click.Choice(rights.REFUSALS), help=_("do nothing, for this reason"))
@click.option(
    "--dpo-agreed",
    is_flag=True,
    help=_("the DPO agrees that a hold placed after the request counts"),
)
@click.option(
    "--uncontested", is_flag=True, help=_("what evidence proves cannot be disputed any more")
)
@click.option(
    "--statement",
    type=click.Path(path_type=Path),
    help=_("what the person wants to be kept beside the recording (rectification)"),
)
@click.option("--key", type=click.Path(path_type=Path), help=_("secret key (office.key)"))
@click.option("--operator", help=_("open with an operator's keys; the log says so before"))
@passphrase_option
@key_option
@click.option(
    "--copy",
    "copy_file",
    type=click.Path(path_type=Path),
    help=_("where the encrypted copy is written (access): a name that ends with .html"),
)
@click.option(
    "--only",
    "side",
    type=click.Choice(SIDES),
    help=_("whose voice is in the copy; the other person's becomes silence"),
)
@by_option
@data_option
@policy_option
@config_option
@socket_option
@json_option
def command(
    request: str,
    files: tuple[Path, ...],
    letter_lang: str,
    refuse: str | None,
    dpo_agreed: bool,
    uncontested: bool,
    statement: Path | None,
    key: Path | None,
    operator: str | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    copy_file: Path | None,
    side: str | None,
    by: str | None,
    data: Path | None,
    policy_file: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place, zone = Place(data, socket, config, policy_file), zone_of(config)
    _check_files((*files, *([copy_file] if copy_file else [])))
    known = known_request(place, request)
    if not known.is_open:
        raise Refused(reason=_("request {request} is answered already").format(request=request))
    if known.identity == NOT_PROVED and refuse is None:
        raise Refused(reason=_("nobody made sure who asks: `greffier request identify`"))
    if refuse is not None:
        deed = Deed([(refuse, "")])
    elif known.kind == "erasure":
        deed = _erase(place, known, not uncontested, dpo_agreed)
    elif known.kind == "restriction":
        deed = _restrict(place, known, by)
    elif known.kind == "rectification":
        deed = _rectify(known, statement)
    else:
        wish = Copying(
            key, operator, passphrases, key_files, copy_file, side or "", by or "", letter_lang
        )
        deed = _copy(place, known, wish)
    policy = policy_of(place)
    return _settle(place, known, deed, policy, (files, letter_lang, by, zone, as_json))


def _check_files(files: Iterable[Path]) -> None:
    for path in files:
        if path.suffix not in (".txt", ".html"):
            raise UsageError(reason=_("{path}: a letter ends with .txt or .html").format(path=path))
        if path.exists():
            raise AlreadyThere(path=path)


def _settle(
    place: Place,
    known: Request,
    deed: Deed,
    policy: Policy | None,
    told: tuple[tuple[Path, ...], str, str | None, tzinfo | None, bool],
) -> int:
    """Log the answer, then write the letter; the exit code."""
    files, lang, by, zone, as_json = told
    codes = sorted({code for code, _purpose in deed.reasons})
    result = rights.outcome(codes)
    letter = Letter(
        kind=known.kind,
        request=known.request,
        received=day_of(known.received_ns, zone),
        answered=day_of(SystemClock().wall_ns(), zone),
        due=day_of(known.due_ns, zone),
        outcome=result,
        country=policy.controller if policy else "FR",
        reasons=tuple(dict.fromkeys(deed.reasons)),
        unrecorded=known.codes,
        extended=known.extended,
        controller=policy.notice.controller if policy else "",
        dpo=policy.notice.dpo if policy else "",
        statement=deed.statement,
        copy=rights.COPY_GIVEN in codes,
        masked=deed.masked,
    )
    text = letters.text_of(letter, lang)
    entry = {
        "request": known.request,
        "outcome": result,
        "codes": codes,
        "recordings": list(known.recordings),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "language": lang,
    }
    code = entered(place, "request.answered", entry, by)
    if code != registering.ENTERED:
        raise Refused(reason=code)
    for path in files:
        content = text if path.suffix == ".txt" else letters.html_of(letter, lang)
        Disk().create_file(path, content.encode())
    value = {
        "request": known.request,
        "outcome": result,
        "reasons": [
            {"code": code, "purpose": purpose or None}
            for code, purpose in dict.fromkeys(deed.reasons)
        ],
        "letters": list(map(str, files)),
        **deed.more,
    }
    answer(value, as_json, lambda: _text(value))
    return {"carried_out": 0, "nothing_held": 0, "refused": 1}.get(result, 3)


def _text(value: dict[str, Any]) -> str:
    lines = [f"{value['request']}: {value['outcome']}"]
    for one in value["reasons"]:
        (why,) = words.explain([one["code"]])
        purpose = f" ({one['purpose']})" if one["purpose"] else ""
        lines.append(f"{one['code']}{purpose}: {why.text}")
    if "passphrase" in value:
        lines.append(_("passphrase, shown once: {words}").format(words=value["passphrase"]))
    return "\n".join(lines)


# --- the deeds ---------------------------------------------------------------------------------


def _erase(place: Place, known: Request, contestable: bool, dpo_agreed: bool) -> Deed:
    if not known.recordings:
        return Deed([(rights.NOTHING_HELD, "")])
    order = Erase(known.recordings, known.request, contestable, known.received_ns, dpo_agreed)
    said = carried_out(place, order).said
    gone = why_gone(verify.entries(place.folder), known.recordings)
    reasons: Reasons = []
    for one in said:
        absent = one.code in (NOTHING_HELD, DESTROYED)
        reasons.append((gone.get(one.id, NOTHING_HELD) if absent else one.code, one.purpose))
    return Deed(reasons)


def _restrict(place: Place, known: Request, by: str | None) -> Deed:
    reasons: Reasons = []
    gone = why_gone(verify.entries(place.folder), known.recordings)
    for recording in known.recordings:
        purposes = _purposes(place, recording)
        if recording in gone or not purposes:
            reasons.append((gone.get(recording, NOTHING_HELD), ""))
            continue
        answers = rights.restrict(purposes)
        blocked = [name for name, code in answers.items() if code == rights.USE_RESTRICTED]
        if blocked:
            entry = {"request": known.request, "recording": recording, "purposes": blocked}
            code = entered(place, "use.restricted", entry, by, recording)
            if code != registering.ENTERED:
                raise Refused(reason=code)
        reasons += [(code, name) for name, code in answers.items()]
    return Deed(reasons or [(rights.NOTHING_HELD, "")])


def _rectify(known: Request, statement: Path | None) -> Deed:
    if not known.recordings:
        return Deed([(rights.NOTHING_HELD, "")])
    if statement is None:
        raise UsageError(reason=_("a rectification needs --statement FILE"))
    try:
        with statement.open("rb") as file:
            octets = file.read(LONGEST_STATEMENT + 1)
    except OSError as error:
        raise BadKeyFile(path=statement, reason=error.strerror) from error
    if len(octets) > LONGEST_STATEMENT:
        raise UsageError(reason=_("the statement is longer than 1 MiB"))
    return Deed([(rights.STATEMENT_ATTACHED, "")], statement=hashlib.sha256(octets).hexdigest())


def _copy(place: Place, known: Request, wish: Copying) -> Deed:
    gone = why_gone(verify.entries(place.folder), known.recordings)
    held = [one for one in known.recordings if one not in gone and _purposes(place, one)]
    reasons: Reasons = [
        (gone.get(one, NOTHING_HELD), "") for one in known.recordings if one not in held
    ]
    if not held:
        return Deed(reasons or [(rights.NOTHING_HELD, "")])
    made = copying.make(place, known, held, wish)
    return Deed([*reasons, *((code, "") for code in made.codes)], made.more, masked=bool(wish.side))


def _purposes(place: Place, recording: str) -> list[str]:
    with Ageing.open(layout.open(place.folder).index) as ageing:
        rows = [row for row in ageing.of(recording) if row.recording == recording]
    return sorted({name for row in rows for name in row.purposes})
