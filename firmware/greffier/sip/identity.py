"""Who the network says is calling: RFC 3325, and the Remote-Party-ID that preceded it."""

from greffier.sip.address import Address
from greffier.sip.message import Message


def asserted(message: Message) -> Address | None:
    """The identity that a trusted element put into *message*, or None.

    P-Asserted-Identity comes before Remote-Party-ID; of two values (RFC 3325 allows a sip and a
    tel one) the one that is a telephone number is taken. A Remote-Party-ID of the called party is
    passed over. Whether the sender was trusted to assert anything is for the caller to know.
    """
    found = message.addresses("p-asserted-identity") or tuple(
        each
        for each in message.addresses("remote-party-id")
        if (each.parameter("party") or "calling").lower() == "calling"
    )
    numbers = (each for each in found if each.uri.number.lstrip("+").isdecimal())
    return next(numbers, found[0] if found else None)
