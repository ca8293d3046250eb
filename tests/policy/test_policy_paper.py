"""What is printed of a policy: twelve items, the record of processing, what it will store."""

import re
from datetime import date
from pathlib import Path

import pytest
from tests.stories.box import DESK, PACKS, RETAIL, SDIS, command, loaded

from greffier.policy import letters, notices, projector, rights, rules
from greffier.policy.letters import Letter
from greffier.policy.phrases import LANGUAGES, Phrases
from greffier.policy.purposes import PURPOSES

CASA = rules.builtin("casa-desk.toml")
POLICIES = (RETAIL, DESK, SDIS, CASA)
NOTICE = """
[notice]
controller = "Exemple SA, 1 rue X, Lyon"
contact = "donnees@exemple.fr"
dpo = "dpo@exemple.fr"
url = "https://exemple.fr/appels"
recipients = "services qualité et juridique"
"""


def fields(text: str) -> set[str]:
    return set(re.findall(r"{\w+}", text))


@pytest.mark.parametrize("file", ["letters", "notices", "dossier", "copy"])
def test_every_phrase_is_there_in_both_languages_with_the_same_fields(file: str) -> None:
    french, english = (Phrases(file, language) for language in LANGUAGES)
    names: list[str] = []

    def walk(table: object, path: str) -> None:
        assert isinstance(table, dict)
        if set(table) & set(LANGUAGES):
            assert set(table) == set(LANGUAGES), path
            assert fields(table["fr"]) == fields(table["en"]), path
            names.append(path)
            return
        for key, value in table.items():
            walk(value, f"{path}.{key}" if path else key)

    walk(french._tables, "")
    assert names and all(french.has(name) and english.has(name) for name in names)
    with pytest.raises(ValueError, match="unknown language"):
        Phrases(file, "de")


@pytest.mark.parametrize("path", POLICIES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_has_twelve_items(path: Path, language: str) -> None:
    made = notices.notice(loaded(path), PACKS, language)
    assert [int(one) for one in re.findall(r"<h2>(\d+)\.", made.html)] == list(range(1, 13))
    assert "CNIL" in made.html and "{" not in made.html.partition("<body>")[2]
    assert set(made.missing) >= {"controller", "dpo"}


def test_a_notice_says_what_the_law_made_of_the_policy() -> None:
    casa = notices.notice(loaded(CASA), PACKS, "en", "cd").html
    assert "at most 30 %" in casa and "consent" in casa and "CCT-2025-FR-MA" in casa
    retail = notices.notice(loaded(RETAIL), PACKS, "en").html
    assert "at most 20 %" in retail and "LIA-2025-02" in retail and "89 days at most" in retail
    fire = notices.notice(loaded(SDIS), PACKS, "fr").html
    assert "toujours enregistré" in fire and "art. 6(1)(e)" in fire
    desk = notices.notice(loaded(DESK), PACKS, "fr").html
    assert "de 1827 à 1857 jours" in desk


def test_what_the_policy_says_of_itself_is_filled_in_with_a_code_to_scan(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(RETAIL.read_text() + NOTICE)
    page = tmp_path / "notice.html"
    said = command("policy", "notice", policy, "-o", page, "--json")
    assert (said.code, said.json["missing"]) == (0, [])
    text = page.read_text()
    assert "<svg" in text and "dpo@exemple.fr" in text and 'lang="fr"' in text
    again = command("policy", "notice", policy, "-o", page)
    assert again.code == 1
    assert command("policy", "notice", RETAIL, "-o", tmp_path / "b.html").code == 3
    assert command("policy", "notice", policy, "--line", "x", "-o", tmp_path / "c.html").code == 1
    record = tmp_path / "record.html"
    said = command("policy", "record", policy, "--language", "en", "-o", record, "--json")
    assert said.code == 0, said.err
    for word in ("RGPD-REG-2025-014", "services qualité", "GDPR article 30", "Mon,Tue,Wed,Thu,Fri"):
        assert word in record.read_text()


def test_a_policy_s_text_is_text_and_no_markup(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(RETAIL.read_text() + NOTICE.replace("Exemple SA", "<script>x</script>"))
    made = notices.notice(loaded(policy), PACKS, "fr")
    assert "<script>" not in made.html and "&lt;script&gt;" in made.html


def test_storage_is_what_the_figures_say(tmp_path: Path) -> None:
    words = ("--hours", "accueil=10", "--hours", "vente=0", "--json")
    said = command("policy", "project", RETAIL, *words)
    (one, none) = said.json["lines"]
    # 10 h, a fifth, two legs of Opus at 10.8 MB an hour; 89 days
    assert one["bytes_per_day"] == 43_200_000 and one["bytes_kept"] == 89 * 43_200_000
    assert none["bytes_per_day"] == 0
    fire = projector.project(loaded(SDIS), PACKS, {}, channels=1)
    assert 2 * sum(line.bytes_per_day for line in fire) == 2_764_800_000  # 4 lines: 2.76 GB
    assert command("policy", "project", RETAIL).code == 2
    assert command("policy", "project", RETAIL, "--hours", "x=1").code == 1
    assert command("policy", "project", RETAIL, "--hours", "accueil=many").code == 2


@pytest.mark.parametrize(
    ("received", "months", "due"),
    [
        (date(2026, 1, 15), 1, date(2026, 2, 15)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2027, 12, 31), 1, date(2028, 1, 31)),
        (date(2027, 11, 30), 3, date(2028, 2, 29)),
        (date(2026, 10, 31), 3, date(2027, 1, 31)),
    ],
)
def test_a_month_ends_on_its_own_last_day(received: date, months: int, due: date) -> None:
    assert rights.deadline(received, months) == due


@pytest.mark.parametrize("kind", rights.KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "outcome", ["carried_out", "partial", "refused", "nothing_held", "pending"]
)
def test_every_letter_names_deadline_authority_and_recourse(
    kind: str, language: str, outcome: str
) -> None:
    day = date(2026, 11, 22)
    reasons = (("REFUSED_LEGAL_CLAIM", "evidence"), ("DELETED_AT_TERM", ""))
    letter = Letter(kind, "D 1", day, day, day, outcome, "BE", reasons, extended="complex")
    text = letters.text_of(letter, language)
    for word in ("D 1", "17(3)(e)", "Autorité de protection des données", "77", "79", "12"):
        assert word in text
    assert "{" not in text and "REFUSED" not in text
    assert letters.html_of(letter, language).count("<p>") == text.count("\n\n") + 1


def test_no_law_that_orders_a_recording_is_restricted_away() -> None:
    answers = rights.restrict(PURPOSES)
    free = {name for name, code in answers.items() if code == rights.USE_RESTRICTED}
    assert free == {"quality", "training", "evidence", "incident"}


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        ((), "nothing_held"),
        (("ERASED",), "carried_out"),
        (("ERASED", "REFUSED_LEGAL_CLAIM"), "partial"),
        (("REFUSED_PUBLIC_TASK",), "refused"),
        (("DELETED_AT_TERM", "NOTHING_HELD"), "nothing_held"),
        (("DELETED_AT_TERM", "ERASED"), "carried_out"),
        (("ERASED", "STILL_RUNNING"), "pending"),
        (("HELD_AT_HEAD_OFFICE",), "pending"),
    ],
)
def test_an_outcome_is_made_of_all_that_was_looked_at(codes: tuple[str, ...], outcome: str) -> None:
    assert rights.outcome(codes) == outcome
