"""Writes facts.json: bodies of the facts API and what they mean, mostly such as mean nothing."""

import json
from pathlib import Path

ID = "00112233445566778899aabbccddeeff"
CALL = "box-1a2b3c4d/accueil/0000000012"


def body(**changed: object) -> str:
    """A body as it should be, but for what is *changed* (... removes a key)."""
    value: dict[str, object] = {"id": ID, "fact": "private", "value": True, **changed}
    return json.dumps({key: one for key, one in value.items() if one is not ...})


GOOD = {
    "the least": (body(), ["private", "true", "", "", "", "0"]),
    "with a call": (body(call=CALL), ["private", "true", CALL, "", "", "0"]),
    "with a line": (body(line="accueil"), ["private", "true", "", "accueil", "", "0"]),
    "with a recording": (body(recording=ID), ["private", "true", "", "", ID, "0"]),
    "with a time": (
        body(at="2026-03-02T09:00:00.25+01:00"),
        ["private", "true", "", "", "", "1772438400250000000"],
    ),
    "a refusal": (body(fact="consent", value="out"), ["consent", "out", "", "", "", "0"]),
    "an acceptance": (body(fact="consent", value="in"), ["consent", "in", "", "", "", "0"]),
    "the end of a card": (body(fact="card", value=False), ["card", "false", "", "", "", "0"]),
    "a country": (body(fact="consumer", value="CA-QC"), ["consumer", "CA-QC", "", "", "", "0"]),
    "an agent": (body(fact="agent", value="agent-12"), ["agent", "agent-12", "", "", "", "0"]),
    "a reference": (
        body(fact="consent_ref", value="LIA 2026/7"),
        ["consent_ref", "LIA 2026/7", "", "", "", "0"],
    ),
    "in another order, with space": (
        f'{{ "value" : true,\n "fact":"threat", "id":"{ID}" }}',
        ["threat", "true", "", "", "", "0"],
    ),
}
BAD = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a text": '"private"',
    "null": "null",
    "nested beyond measure": "[" * 3000,
    "no id": body(id=...),
    "no fact": body(fact=...),
    "no value": body(value=...),
    "one key more": body(agent="agent-12"),
    "a key twice": body()[:-1] + ', "fact": "threat"}',
    "an id in capitals": body(id=ID.upper()),
    "an id too short": body(id=ID[1:]),
    "an id with a line feed": body(id=ID + "\n"),
    "an id in other digits": body(id="\u0661" * 32),
    "an id as number": body(id=0),
    "an unknown fact": body(fact="emotion"),
    "a fact of the draw": body(fact="u", value="0"),
    "a fact of the quota": body(fact="quota_used", value="0"),
    "a fact of the window": body(fact="window", value=True),
    "a fact of health": body(fact="healthy", value=False),
    "a fact of confirmation": body(fact="action_confirmed", value=True),
    "a time as a fact": body(fact="t_consent", value="2026-03-02T09:00:00Z"),
    "a missing reference as a fact": body(fact="missing", value="register_ref"),
    "a fact that is a list": body(fact=["private"]),
    "true as text": body(value="true"),
    "true as number": body(value=1),
    "private taken back": body(value=False),
    "a threat taken back": body(fact="threat", value=False),
    "consent of the third kind": body(fact="consent", value="none"),
    "consent that is pending": body(fact="consent", value="pending"),
    "consent as flag": body(fact="consent", value=True),
    "a country that is none": body(fact="consumer", value="France"),
    "a country in small letters": body(fact="consumer", value="fr"),
    "an agent that is a number": body(fact="agent", value="0478123456"),
    "a reference too long": body(fact="consent_ref", value="A" * 65),
    "a reference with a line feed": body(fact="consent_ref", value="A\nB"),
    "a transfer to nobody": body(fact="transfer", value="13"),
    "a value that is an object": body(value={"private": True}),
    "a value that is null": body(value=None),
    "not a number": body()[:-1] + ', "at": NaN}',
    "a call that is none": body(call="12"),
    "a call of another form": body(call=CALL + "/1"),
    "no call": body(call=""),
    "a line that is a number": body(line="0478123456"),
    "a line that is a path": body(line="../vault"),
    "a recording that is none": body(recording="1"),
    "a call and a line": body(call=CALL, line="accueil"),
    "a line and a recording": body(line="accueil", recording=ID),
    "a time without offset": body(at="2026-03-02T09:00:00"),
    "a day as time": body(at="2026-03-02"),
    "a time as number": body(at=1772438400),
    "a time before all time": body(at="1970-01-01T00:00:00Z"),
    "a time that cannot be": body(at="2026-02-30T09:00:00Z"),
    "too long": body()[:-1] + " " * 4096 + "}",
}
# kind, what it was allowed, fact, value, may it
RIGHTS = [
    ["agent", [], "private", True, True],
    ["agent", [], "proof", True, True],
    ["agent", [], "threat", True, True],
    ["agent", [], "card", True, True],
    ["agent", [], "card", False, True],
    ["agent", [], "consent", "out", True],
    ["agent", [], "consent", "in", False],
    ["agent", [], "contract", "oral", False],
    ["agent", [], "mifid", "no", False],
    ["agent", [], "agent", "agent-12", False],
    ["agent", [], "announce", "ok", False],
    ["agent", ["contract"], "contract", "oral", False],
    ["desk", [], "private", True, True],
    ["desk", [], "consent", "in", False],
    ["desk", ["consent=in"], "consent", "in", False],
    ["code", [], "private", True, False],
    ["code", ["private"], "private", True, False],
    ["system", [], "private", True, False],
    ["system", ["private"], "private", True, True],
    ["system", ["consent"], "consent", "out", True],
    ["system", ["consent"], "consent", "in", False],
    ["system", ["consent=in"], "consent", "in", True],
    ["system", ["consent=in"], "consent", "out", False],
    ["system", ["mifid"], "mifid", "yes", True],
    ["system", ["mifid"], "mifid", "no", False],
    ["system", ["mifid=no"], "mifid", "no", True],
    ["system", ["call_kind"], "call_kind", "private", False],
    ["system", ["call_kind=private"], "call_kind", "private", True],
    ["system", ["consumer"], "consumer", "DE", True],
    ["system", ["consumer"], "agent", "agent-12", False],
    ["system", ["card"], "card", False, True],
    ["system", ["announce"], "announce", "fail", True],
]
SECRET = "A" * 43
TOKENS = {
    "nothing": "",
    "no token": "Bearer",
    "no secret": "gft-0011223344556677-",
    "an id in capitals": f"gft-001122334455667A-{SECRET}",
    "an id too short": f"gft-001122334455667-{SECRET}",
    "a secret too short": f"gft-0011223344556677-{SECRET[1:]}",
    "a secret too long": f"gft-0011223344556677-{SECRET}A",
    "padding": f"gft-0011223344556677-{SECRET}=",
    "the other alphabet": f"gft-0011223344556677-{SECRET[2:]}+/",
    "bits of nothing": f"gft-0011223344556677-{SECRET[1:]}B",
    "a line feed": f"gft-0011223344556677-{SECRET}\n",
    "a space before": f" gft-0011223344556677-{SECRET}",
    "another word": f"ghp-0011223344556677-{SECRET}",
}
LINE = "POST /v1/facts HTTP/1.1\r\n"
BAD_HEADS = {
    "no HTTP": "hello\r\n\r\n",
    "TLS to a port without": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 by prior knowledge": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": LINE + "\r\n",
    "two hosts": LINE + "Host: a\r\nHost: b\r\n\r\n",
    "two tokens": LINE + "Host: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
    "two cookies": LINE + "Host: a\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
    "two lengths": LINE + "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": LINE
    + "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a length below zero": LINE + "Host: a\r\nContent-Length: -1\r\n\r\n",
    "a length in other digits": LINE + "Host: a\r\nContent-Length: 1_0\r\n\r\n",
    "a header without a name": LINE + "Host: a\r\n: b\r\n\r\n",
    "a header with a space": LINE + "Host : a\r\n\r\n",
    "a folded header": LINE + "Host: a\r\n b\r\n\r\n",
    "a zero octet": LINE + "Host: a\0b\r\n\r\n",
    "a head too long": LINE + "Host: a\r\nX: " + "a" * 20_000 + "\r\n\r\n",
    "chunks that are none": LINE + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


def main() -> None:
    """Write it."""
    vectors = {"good": GOOD, "bad": BAD, "rights": RIGHTS, "tokens": TOKENS, "bad_heads": BAD_HEADS}
    text = json.dumps(vectors, indent=1, sort_keys=True) + "\n"
    (Path(__file__).parent / "facts.json").write_text(text, "ascii")


if __name__ == "__main__":
    main()
