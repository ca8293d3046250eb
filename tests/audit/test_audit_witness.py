"""What a cosigned checkpoint says, and of whom it is believed."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit import note, witness
from greffier.audit.note import Checkpoint, Signer
from greffier.audit.witness import LARGEST, BadCosigned

HEAD = Checkpoint("greffier/box-1a2b3c4d", 7, b"\7" * 32)

OTHER = Checkpoint("greffier/box-other", 7, b"\7" * 32)


def signer(name: str, number: int) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


LOG = signer(HEAD.origin, 1)
NEAR, FAR, STRANGER = signer("siege", 2), signer("autre", 3), signer("siege", 4)
TRUSTED = [NEAR.witness_key, FAR.witness_key]


def cosigned(*said: tuple[Signer, int], by: Signer = LOG) -> bytes:
    return by.sign(HEAD.text) + b"".join(one.cosign(HEAD, time_s) for one, time_s in said)


def test_the_earliest_of_several_trusted_times_counts() -> None:
    for said in ([(NEAR, 500), (FAR, 400)], [(FAR, 400), (NEAR, 500)]):
        found = witness.read(cosigned(*said), LOG.log_key, TRUSTED)
        assert (found.checkpoint, found.time_s) == (HEAD, 400)
        assert found.data == cosigned(*said)


def test_a_stranger_s_time_counts_for_nothing() -> None:
    found = witness.read(cosigned((STRANGER, 1), (NEAR, 500)), LOG.log_key, TRUSTED)
    assert found.time_s == 500


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("unsigned", cosigned()),
        ("unsigned", cosigned((STRANGER, 500))),
        ("unsigned", cosigned((NEAR, 500), by=NEAR)),
        ("garbled", cosigned((NEAR, 500))[:-3]),
        ("garbled", cosigned((NEAR, 500)) + b"x" * LARGEST),
        ("forged", cosigned((NEAR, 500)).replace(b"\n7\n", b"\n8\n")),
        ("unsigned", cosigned((NEAR, 500), by=signer("greffier/box-other", 1))),
        ("foreign", LOG.sign(OTHER.text) + NEAR.cosign(OTHER, 500)),
    ],
)
def test_what_is_not_believed_is_told_apart(code: str, data: bytes) -> None:
    with pytest.raises(BadCosigned) as refused:
        witness.read(data, LOG.log_key, TRUSTED)
    assert refused.value.code == code


def test_the_keys_of_a_log_are_no_witnesses() -> None:
    with pytest.raises(BadCosigned):
        witness.read(cosigned((NEAR, 500)), LOG.log_key, [NEAR.log_key])
    assert NEAR.witness_key.kind == note.COSIGNATURE_V1
