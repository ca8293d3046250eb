"""Any two of three papers bring head office's key back; one, or a slip of the pen, does not."""

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic.wordlist import WORDLIST
from tests.stories.box import PAIR, Said, command

from greffier_office import shares
from greffier_office.shares import BadShare, joined, made, words_of

PAPERS = made(PAIR)


def office(*words: object) -> Said:
    return command(*words, program="greffier-office")


def test_each_pair_in_either_order_brings_the_key_back() -> None:
    for pair in permutations(PAPERS, 2):
        assert joined(pair) == PAIR


def test_one_alone_or_the_same_twice_or_all_three_is_refused() -> None:
    for texts in ([], PAPERS[:1], [PAPERS[0]] * 2, PAPERS):
        with pytest.raises(BadShare):
            joined(texts)


@settings(max_examples=25)
@given(paper=st.integers(0, 2), place=st.integers(0, 32), word=st.sampled_from(WORDLIST))
def test_a_mistyped_word_is_refused(paper: int, place: int, word: str) -> None:
    words = PAPERS[paper].split()
    if words[place] == word:
        return
    words[place] = word
    with pytest.raises(BadShare):
        joined([" ".join(words), PAPERS[(paper + 1) % 3]])


@settings(max_examples=8)
@given(seed=st.binary(min_size=32, max_size=32), left_out=st.integers(0, 2))
def test_any_key_comes_back_from_any_two(seed: bytes, left_out: int) -> None:
    key = shares.PrivateKey(shares.Role.OFFICE, seed)
    papers = made(key)
    del papers[left_out]
    assert joined(papers).seed == seed


def test_papers_of_two_sharings_do_not_mix() -> None:
    with pytest.raises(BadShare):
        joined([PAPERS[0], made(PAIR)[1]])


def test_a_paper_is_read_as_it_is_printed_and_by_four_letters() -> None:
    printed = shares.paper(PAPERS[0], 1, "0" * 16)
    assert words_of(printed) == PAPERS[0]
    assert words_of(" ".join(word[:4] for word in PAPERS[0].split()).upper()) == PAPERS[0]
    for text in ("", "academic", PAPERS[0].rsplit(" ", 1)[0], "é" + PAPERS[0], PAPERS[0] + " acid"):
        with pytest.raises(BadShare):
            words_of(text)


def test_the_papers_of_the_command_make_the_same_file_again(tmp_path: Path) -> None:
    key = tmp_path / "office.key"
    key.write_text(PAIR.format())
    said = office("shares", "make", key, "-o", tmp_path / "papers", "--json")
    assert said.code == 0 and said.json["needed"] == 2
    files = sorted((tmp_path / "papers").iterdir())
    assert len(files) == 3 and all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    again = tmp_path / "again.key"
    assert office("shares", "join", files[2], files[0], "-o", again).code == 0
    assert again.read_text() == PAIR.format()
    assert office("shares", "join", files[2], files[0], "-o", again).code == 1  # it is there
    other = tmp_path / "other.key"
    words = files[0].read_text().replace(PAPERS[0].split()[5], "academic")
    files[0].write_text(words.replace(" 9. ", " 9. zero"))
    for papers in (files[:1], files[:2]):
        refused = office("shares", "join", *papers, "-o", other)
        assert refused.code == 12 and refused.complaint and not other.exists()
        assert PAIR.seed.hex() not in refused.err


def test_papers_on_the_terminal_say_which_key_they_are_of(tmp_path: Path) -> None:
    key = tmp_path / "office.key"
    key.write_text(PAIR.format())
    said = office("shares", "make", key)
    assert said.code == 0 and said.out.count(PAIR.public.key_id.hex()) == 3
