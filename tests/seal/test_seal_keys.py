"""Key pairs, key files on disk, envelopes: against an HPKE written out from its RFC."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import part as reference

from greffier.errors import BadKeyFile
from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, DoesNotOpen, What
from greffier.seal.keys import (
    BadKey,
    PrivateKey,
    PublicKey,
    Role,
    generate,
    parse_private,
    parse_public,
    read_private,
    read_public,
)

SEED = bytes(range(32))
OFFICE = PrivateKey(Role.OFFICE, SEED)
IDENTITY = bytes(range(16))


def test_the_public_key_of_the_first_vector_of_the_draft() -> None:
    # draft-connolly-cfrg-xwing-kem, first test vector: seed, and both ends of its public key.
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    public = PrivateKey(Role.OFFICE, seed).public.data
    assert public.hex().startswith("e2236b35a8c24b39b10aa1323a96a919a2ced884")
    assert public.hex().endswith("859edb06eff389b27dce59844570216223593d4ba32d9abac8cd049040ef6534")
    assert reference.Pair(seed).public == public


def test_our_envelope_opens_with_hpke_written_out_and_the_reverse() -> None:
    pair = reference.Pair(SEED)
    for role in Role:
        private = PrivateKey(role, SEED)
        assert (private.public.data, private.public.key_id) == (pair.public, pair.key_id)
        for what in (What.PART, What.METADATA):
            info = reference.envelope_info(role, what, IDENTITY)
            block = envelope.seal(b"k" * 32, what, IDENTITY, [private.public])
            assert reference.open_key(block[13:], pair, info) == b"k" * 32
            sealed = reference.seal_key(b"s" * 32, pair.public, info)
            record = reference.record(role, what, pair.key_id, sealed)
            assert envelope.open_block(b"\1" + record, what, IDENTITY, private) == b"s" * 32


def test_the_reference_cipher_is_that_of_rfc_8439() -> None:
    # Section 2.8.2.
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it."
    )
    sealed = reference.encrypt(
        bytes(range(0x80, 0xA0)),
        bytes.fromhex("070000004041424344454647"),
        text,
        bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
    )
    assert sealed[:8].hex() == "d31a8d34648e60db"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


@pytest.mark.parametrize("role", Role)
def test_a_key_file_survives_its_text(role: Role, tmp_path: Path) -> None:
    private = generate(role)
    paths = tmp_path / "a.key", tmp_path / "a.pub"
    paths[0].write_text(private.format(), encoding="ascii")
    paths[1].write_text(private.public.format(), encoding="ascii")
    assert read_private(paths[0], role) == private
    assert read_public(paths[1], role) == private.public
    assert private.public.key_id.hex() in private.format()
    assert private.format() == parse_private(private.format(), role).format()
    for path, other in ((paths[0], read_public), (paths[1], read_private)):
        with pytest.raises(BadKeyFile, match="another kind"):
            other(path, role)


def test_a_file_that_cannot_be_read_names_itself_and_no_key(tmp_path: Path) -> None:
    path = tmp_path / "office.key"
    for data in (None, b"\xff\xfe", b"nonsense:AAAA", os.urandom(20000), OFFICE.format()[:-3]):
        if isinstance(data, str):
            path.write_text(data, encoding="ascii")
        elif data is not None:
            path.write_bytes(data)
        for read in (read_private, read_public):
            with pytest.raises(BadKeyFile) as caught:
                read(path, Role.OFFICE)
            assert str(path) in str(caught.value)
            assert caught.value.exit_code == 12
            assert "AAEC" not in str(caught.value)


def test_a_private_key_does_not_show_itself() -> None:
    shown = repr(OFFICE)
    assert "seed" not in shown
    assert SEED.hex() not in shown
    assert str(SEED) not in shown
    for role, text in ((Role.OFFICE, OFFICE.format()[:-2]), (Role.CONSOLE, OFFICE.format())):
        with pytest.raises(BadKey) as caught:
            parse_private(text, role)
        assert "AAEC" not in str(caught.value)


@given(st.text(max_size=200) | st.text("#\r\n\t :AZaz09-_=greffiokyubcnsl1", max_size=200))
@settings(deadline=None)
def test_no_text_is_a_key_by_accident(text: str) -> None:
    for parse in (parse_private, parse_public):
        with pytest.raises(BadKey) as caught:
            parse(text, Role.OFFICE)
        assert 0 <= caught.value.offset <= len(text)


@given(st.integers(0, 42), st.sampled_from("ABCxyz019-_"))
@settings(deadline=None)
def test_one_wrong_letter_is_noticed(at: int, letter: str) -> None:
    text = OFFICE.format()
    start = text.index("-1:") + 3
    changed = text[: start + at] + letter + text[start + at + 1 :]
    if changed != text:
        with pytest.raises(BadKey) as caught:
            parse_private(changed, Role.OFFICE)
        assert caught.value.number in (6, 8)


def test_halves_that_are_no_keys_are_refused() -> None:
    for data in (bytes(1215), b"\xff" * 1216, OFFICE.public.data[:1184] + bytes(32)):
        with pytest.raises(ValueError, match=r".+"):
            PublicKey(Role.OFFICE, data)
    with pytest.raises(ValueError, match="32 bytes"):
        PrivateKey(Role.OFFICE, bytes(31))


def test_an_envelope_opens_only_where_it_belongs() -> None:
    console = generate(Role.CONSOLE)
    block = envelope.seal(SEED, What.PART, IDENTITY, [OFFICE.public, console.public])
    for private in (OFFICE, console):
        assert envelope.open_block(block, What.PART, IDENTITY, private) == SEED
        for what, identity in ((What.METADATA, IDENTITY), (What.PART, bytes(16))):
            with pytest.raises(DoesNotOpen):
                envelope.open_block(block, what, identity, private)
    for stranger in (generate(Role.OFFICE), PrivateKey(Role.CONSOLE, SEED)):
        with pytest.raises(DoesNotOpen):
            envelope.open_block(block, What.PART, IDENTITY, stranger)
    assert envelope.seal(SEED, What.PART, IDENTITY, [OFFICE.public]) != envelope.seal(
        SEED, What.PART, IDENTITY, [OFFICE.public]
    )


def test_what_nobody_could_open_is_not_sealed() -> None:
    console = generate(Role.CONSOLE).public
    for key, what, identity, recipients in (
        (bytes(31), What.PART, IDENTITY, [OFFICE.public]),
        (SEED, What.PART, bytes(15), [OFFICE.public]),
        (SEED, What.PART, IDENTITY, []),
        (SEED, What.PART, IDENTITY, [OFFICE.public, OFFICE.public]),
        (SEED, What.SAMPLING, IDENTITY, [console]),
    ):
        with pytest.raises(ValueError, match=r".+"):
            envelope.seal(key, what, identity, recipients)
    with pytest.raises(BadEnvelope):
        envelope.encode_block([envelope.Envelope(Role.OFFICE, What.PART, bytes(8), bytes(5))])


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_bent_block_is_refused_or_does_not_open(data: st.DataObject) -> None:
    block = bytearray(BLOCK)
    at = data.draw(st.integers(0, len(block) - 1))
    block[at] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.integers(0, len(block)) | st.just(len(block)))
    with pytest.raises((BadEnvelope, DoesNotOpen)):
        envelope.open_block(bytes(block[:end]), What.PART, IDENTITY, OFFICE)


BLOCK = envelope.seal(SEED, What.PART, IDENTITY, [OFFICE.public])


def test_the_id_of_an_epoch_is_a_hash_of_its_name() -> None:
    assert envelope.epoch_id("2024-01-01.é") == hashlib.sha256(b"2024-01-01.\xc3\xa9").digest()[:16]
