"""TPM commands and answers as bytes: the layouts of the specification and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greffier.trust import tpm_wire
from greffier.trust.tpm import BadCell, Cell
from greffier.trust.tpm_wire import BadAnswer, Command, Index, TpmRefused

# Part 3, 31.3 (NV_DefineSpace), 31.7 (NV_Write), 31.13 (NV_Read), 31.6 (NV_ReadPublic), by hand.
COMMANDS = {
    "manufacturer": (
        tpm_wire.ask_manufacturer(),
        "8001 00000016 0000017a 00000006 00000105 00000001",
    ),
    "look": (tpm_wire.look_at(0x01500010), "8001 0000000e 00000169 01500010"),
    "define": (
        tpm_wire.define(Index(0x01500010, 0x02041004, 68)),
        "8002 0000002d 0000012a 40000001 00000009 40000009 0000 00 0000"
        "0000 000e 01500010 000b 02041004 0000 0044",
    ),
    "undefine": (
        tpm_wire.undefine(0x01500010),
        "8002 0000001f 00000122 40000001 01500010 00000009 40000009 0000 00 0000",
    ),
    "write": (
        tpm_wire.write(0x01500010, b"\xaa\xbb"),
        "8002 00000025 00000137 01500010 01500010 00000009 40000009 0000 00 0000 0002 aabb 0000",
    ),
    "read": (
        tpm_wire.read(0x01500010, 68),
        "8002 00000023 0000014e 01500010 01500010 00000009 40000009 0000 00 0000 0044 0000",
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_bytes_of_the_specification(name: str) -> None:
    command, expected = COMMANDS[name]
    assert command.data == bytes.fromhex(expected)


def answer(tag: int, code: int, body: bytes) -> bytes:
    return b"".join(
        (tag.to_bytes(2, "big"), (10 + len(body)).to_bytes(4, "big"), code.to_bytes(4, "big"), body)
    )


def test_the_parameters_of_an_answer_are_found() -> None:
    look, read = tpm_wire.look_at(1), tpm_wire.read(1, 2)
    assert tpm_wire.parameters_of(answer(0x8001, 0, b"abc"), look) == b"abc"
    body = b"\0\0\0\x04\0\x02hi" + bytes(5)  # parameterSize, TPM2B, session
    assert tpm_wire.sized(tpm_wire.parameters_of(answer(0x8002, 0, body), read)) == (b"hi", b"")


@pytest.mark.parametrize(
    ("code", "known", "words"),
    [
        (0x18B, tpm_wire.HANDLE, "0x18b"),
        (0x28B, tpm_wire.HANDLE, "0x28b"),
        (0x14A, tpm_wire.NV_UNINITIALIZED, "0x14a"),
        (0x9A2, 0x0A2, "password"),
        (0x98E, 0x08E, "password"),
        (0x921, 0x921, "locked out"),
        (0x101, 0x101, "failure mode"),
        (0x14B, 0x14B, "full"),
    ],
)
def test_a_response_code_is_known_wherever_it_points(code: int, known: int, words: str) -> None:
    with pytest.raises(TpmRefused, match=words) as refused:
        tpm_wire.parameters_of(answer(0x8001, code, b""), tpm_wire.read(1, 2))
    assert refused.value.code == known


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (b"", tpm_wire.look_at(1)),
        (b"\x80\x01\0\0\0\x09\0\0\0\0", tpm_wire.look_at(1)),
        (b"\x80\x01\xff\xff\xff\xff\0\0\0\0", tpm_wire.look_at(1)),
        (answer(0x8001, 0, b"") + b"more", tpm_wire.look_at(1)),
        (answer(0x8002, 0, b""), tpm_wire.look_at(1)),
        (answer(0x8001, 0, bytes(20)), tpm_wire.read(1, 2)),
        (answer(0x8002, 0, b"\0\0"), tpm_wire.read(1, 2)),
        (answer(0x8002, 0, b"\0\0\0\x09\0"), tpm_wire.read(1, 2)),
    ],
)
def test_an_answer_of_another_form_is_refused(data: bytes, command: Command) -> None:
    with pytest.raises(BadAnswer):
        tpm_wire.parameters_of(data, command)


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_an_answer_or_are_refused(data: bytes, framed: bool) -> None:
    if framed:
        data = answer(0x8001, 0, data)
    try:
        found = tpm_wire.index_of(tpm_wire.parameters_of(data, tpm_wire.look_at(1)))
    except (BadAnswer, TpmRefused):
        return
    assert found.size < 1 << 16
    assert len(found.policy) <= len(data)


@given(st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
def test_a_cell_is_read_as_it_was_written(sequence: int, store: bytes) -> None:
    cell = Cell(sequence, store, bytes(range(32)))
    assert Cell.parse(cell.to_bytes()) == cell


def test_every_flipped_bit_of_a_cell_is_refused() -> None:
    data = Cell(7, bytes(16), bytes(range(32))).to_bytes()
    for at in range(len(data)):
        for bit in range(8):
            flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises(BadCell):
                Cell.parse(flipped)
    for length in range(len(data)):
        with pytest.raises(BadCell):
            Cell.parse(data[:length])
