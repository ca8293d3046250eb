"""What data subjects ask: opened, answered, told in a letter, and in the log from end to end."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from cryptography.exceptions import InvalidTag
from tests.recorder.office_scene import DUTY, QUALITY
from tests.recorder.office_scene import Box as Sealed
from tests.recorder.test_recorder_holds import CASE, TWO, hold, recording_of
from tests.recorder.test_recorder_purge import in_vault, is_whole, purged, recorded
from tests.stories.box import Box, command

from greffier.audit import verify
from greffier.audit.requests import register_of
from greffier.recorder import handover
from greffier.trust import passphrase
from greffier_sim.captures import Plan, call

EVIDENCE = {"quality": (0, 89), "evidence": (0, 365)}
PROVED = ("--identity", "document", "--by", "dpo")


def asked(folder: Path, *words: object, expect: int = 0) -> dict[str, Any]:
    said = command("request", *words, "--data", folder, "--json")
    assert said.code == expect, said.err
    found: dict[str, Any] = said.json
    return found


def opened(folder: Path, kind: str, *recordings: object) -> dict[str, Any]:
    return asked(folder, "open", "DSAR 12", *recordings, "--kind", kind, *PROVED)


def test_an_erasure_is_opened_carried_out_and_answered_by_letter(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, EVIDENCE)
    name = recording_of(folder, part)
    assert opened(folder, "erasure", name)["recordings"] == [name]
    text, page = tmp_path / "letter.txt", tmp_path / "letter.html"
    found = asked(folder, "answer", "DSAR 12", "--letter", text, "--letter", page, expect=3)
    assert found["outcome"] == "partial"
    assert found["reasons"] == [
        {"code": "RESTRICTED", "purpose": "quality"},
        {"code": "REFUSED_LEGAL_CLAIM", "purpose": "evidence"},
    ]
    letter = text.read_text()
    for word in ("DSAR 12", "CNIL", "art. 17(3)(e)", "article 12, paragraphe 3", "article 77"):
        assert word in letter
    assert "DSAR 12" in page.read_text() and name not in letter
    shown = asked(folder, "show", "DSAR 12")
    assert shown["state"] == "answered"
    assert shown["letter_sha256"] == hashlib.sha256(text.read_bytes()).hexdigest()
    assert asked(folder, "list", "--open")["requests"] == []
    kinds = [entry.ev for entry in verify.entries(folder)]
    assert kinds.index("request.opened") < kinds.index("erasure.decided")
    assert kinds.index("erasure.decided") < kinds.index("request.answered")
    again = command("request", "answer", "DSAR 12", "--data", folder, "--json")
    assert again.code == 1 and "DSAR 12" in again.complaint
    assert is_whole(folder)


def test_a_hold_placed_after_the_request_needs_the_dpo(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    opened(folder, "erasure", recording_of(folder, part))
    hold(folder, "add", part, *CASE, *TWO)
    assert asked(folder, "answer", "DSAR 12")["outcome"] == "carried_out"
    assert in_vault(folder) == set()


def test_with_the_dpo_such_a_hold_counts(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    opened(folder, "erasure", recording_of(folder, part))
    hold(folder, "add", part, *CASE, *TWO)
    assert asked(folder, "answer", "DSAR 12", "--dpo-agreed", expect=1)["outcome"] == "refused"
    assert in_vault(folder) == {part}


def test_what_was_deleted_at_its_term_is_told_as_that(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 90, QUALITY)
    name = recording_of(folder, part)
    purged(folder)
    opened(folder, "erasure", name)
    found = asked(folder, "answer", "DSAR 12", "--letter", tmp_path / "l.txt")
    assert found["outcome"] == "nothing_held"
    assert [one["code"] for one in found["reasons"]] == ["DELETED_AT_TERM"]
    assert "échéance" in (tmp_path / "l.txt").read_text()


def test_who_called_a_line_that_is_never_recorded_learns_what_a_stranger_learns(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path)
    box.bring(call(Plan()), "cse")
    number = box.listed("--key", box.key)
    assert all(call["from"] is None for call in number)
    letters = []
    for reference, caller in (("DSAR 1", "+33140506070"), ("DSAR 2", "0999999999")):
        found = asked(
            box.data, "open", reference, "--kind", "erasure", *PROVED,
            "--number", caller, "--key", box.key,
        )  # fmt: skip
        assert (found["found"], found["recordings"], found["codes"]) == (0, [], [])
        path = tmp_path / f"{reference[-1]}.txt"
        answer = asked(box.data, "answer", reference, "--letter", path, "--letter-lang", "en")
        assert answer["outcome"] == "nothing_held"
        letters.append(path.read_text().replace(reference, ""))
    assert letters[0] == letters[1]


def test_a_call_that_was_not_drawn_is_told_as_that(tmp_path: Path) -> None:
    box = Box(tmp_path)
    made = box.call(call(Plan()), draw=0.9)
    assert made["codes"] == ["SAMPLED_OUT"]
    found = asked(
        box.data, "open", "DSAR 3", "--kind", "access", *PROVED,
        "--number", made["from"], "--key", box.key,
    )  # fmt: skip
    assert (found["found"], found["recordings"], found["codes"]) == (1, [], ["SAMPLED_OUT"])
    path = tmp_path / "l.txt"
    assert asked(box.data, "answer", "DSAR 3", "--letter", path)["outcome"] == "nothing_held"
    assert "Le tirage au sort n'a pas retenu cet appel." in path.read_text()


def test_a_restriction_shuts_the_purposes_that_no_law_orders_until_it_is_lifted(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, {**QUALITY, **DUTY})
    name = recording_of(folder, part)
    opened(folder, "restriction", name)
    found = asked(folder, "answer", "DSAR 12", expect=3)
    assert {(one["code"], one["purpose"]) for one in found["reasons"]} == {
        ("USE_RESTRICTED", "quality"),
        ("REFUSED_LEGAL_OBLIGATION", "regulatory"),
    }
    assert register_of(folder).blocked(name) == {"quality"}
    with Sealed(folder) as box:  # and over a restart
        assert box.archive.register.blocked(name) == {"quality"}
    assert asked(folder, "lift", "DSAR 12")["done"] == [{"id": name, "code": "ENTERED"}]
    assert register_of(folder).blocked(name) == frozenset()
    assert asked(folder, "lift", "DSAR 12", expect=1)["refused"][0]["code"] == "NOT_RESTRICTED"


def test_a_copy_opens_with_its_passphrase_alone_and_masks_the_other_person(tmp_path: Path) -> None:
    box = Box(tmp_path)
    made = box.call(call(Plan()))
    name = made["recording"]
    opened(box.data, "access", name)
    page, words = tmp_path / "copy.html", ("--key", box.key, "--only", "caller")
    found = asked(box.data, "answer", "DSAR 12", *words, "--copy", page)
    assert found["outcome"] == "carried_out"
    content = handover.opened_page(page.read_bytes(), found["passphrase"])
    with zipfile.ZipFile(io.BytesIO(content)) as held:
        assert set(held.namelist()) == {"SHA256.json", f"{name}.json", f"{name}.wav"}
        told = json.loads(held.read(f"{name}.json"))
        wav = held.read(f"{name}.wav")
    assert told["sha256"] == hashlib.sha256(wav).hexdigest() and told["voice"] == "caller"
    assert "SAMPLED_IN" in told["decision"]["codes"] and made["from"] not in json.dumps(told)
    sound, _rate = soundfile.read(io.BytesIO(wav), dtype="int16", always_2d=True)
    assert [bool(np.any(sound[:, channel])) for channel in range(sound.shape[1])].count(True) == 1
    with pytest.raises(InvalidTag):
        handover.opened_page(page.read_bytes(), passphrase.generate())
    kinds = [entry.ev for entry in verify.entries(box.data)]
    assert kinds.index("export") < kinds.index("access") < kinds.index("request.answered")


@pytest.mark.parametrize(
    "words",
    [
        ("open", "DSAR 12", "--kind", "erasure", "--identity", "document"),
        ("open", "DSAR 12", "--kind", "erasure", "--number", "0123456789"),
        ("open", "DSAR 12", "--kind", "erasure", "--received", "2999-01-01"),
        ("open", "DSAR 12", "--kind", "erasure", "--received", "yesterday"),
        ("open", "DSAR 12", "--kind", "sale"),
        ("answer", "DSAR 9", "--letter", "letter.pdf"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_one_line(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    folder = tmp_path / "data"
    recorded(folder, 1)
    said = command("request", *words, "--data", folder, "--json")
    assert said.code == 2 and said.complaint


def test_the_register_takes_no_reference_that_could_be_a_number_and_none_twice(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    recorded(folder, 1)
    wrong = asked(folder, "open", "33478123456", "--kind", "erasure", expect=1)
    assert wrong["refused"] == [{"id": "33478123456", "code": "ENTRY_MALFORMED"}]
    asked(folder, "open", "DSAR 12", "--kind", "erasure")
    again = asked(folder, "open", "DSAR 12", "--kind", "access", expect=1)
    assert again["refused"][0]["code"] == "REQUEST_KNOWN"
    assert command("request", "show", "DSAR 13", "--data", folder).code == 1


def test_nobody_is_answered_before_somebody_made_sure_who_asks(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    name = recording_of(folder, part)
    asked(folder, "open", "DSAR 12", name, "--kind", "erasure", "--received", "2026-10-31")
    assert command("request", "answer", "DSAR 12", "--data", folder).code == 1
    assert in_vault(folder) == {part}
    asked(folder, "identify", "DSAR 12", *PROVED)
    assert asked(folder, "show", "DSAR 12")["due"] == "2026-11-30"
    assert asked(folder, "answer", "DSAR 12")["outcome"] == "carried_out"


def test_who_cannot_prove_who_they_are_is_refused_and_told_why(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    recorded(folder, 1)
    asked(folder, "open", "DSAR 12", "--kind", "access")
    path = tmp_path / "l.txt"
    words = ("--refuse", "IDENTITY_NOT_PROVED", "--letter", path)
    assert asked(folder, "answer", "DSAR 12", *words, expect=1)["outcome"] == "refused"
    assert "art. 11(2), 12(6)" in path.read_text()
