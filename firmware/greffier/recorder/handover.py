"""What is handed to a data subject: recordings and what is known of them, in one encrypted page.

The page opens in any browser, offline: it asks for the passphrase and saves the ZIP that it holds.
Format and a reader in a few lines: docs/requests.md section 5. Pure but for the generator of salts.
"""

import base64
import hashlib
import html
import io
import json
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from greffier.policy.phrases import Phrases
from greffier.store.playback import OpenedPart
from greffier.trust import passphrase

ROUNDS: Final = 600_000
"""Of PBKDF2-HMAC-SHA-256, which every browser has; the passphrase itself has 73.5 bits."""
AAD: Final = b"greffier/copy@v1"
MOST: Final = 256 << 20
"""Octets of a copy: a browser has to hold it three times."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
SIDES: Final = ("caller", "callee")


class CannotMask(ValueError):
    """Of a leg nobody knows whose it is, so the other person's voice cannot be taken out."""


class TooMuch(ValueError):
    """The copy would be larger than :data:`MOST`."""


def only(parts: Sequence[OpenedPart], side: str) -> list[OpenedPart]:
    """*parts* with the sound of *side* alone; all else is silence. Raises CannotMask."""
    found = []
    for part in parts:
        legs = {}
        for number, leg in part.legs.items():
            if leg.table.get("side") not in SIDES:
                raise CannotMask
            own = leg.table["side"] == side
            legs[number] = leg if own else replace(leg, packets=[], gaps=[], masks=[])
        found.append(replace(part, legs=legs))
    return found


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """A ZIP of *files*, the same octets for the same files, with their SHA-256 in a manifest."""
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    }
    manifest = json.dumps({"files": listed}, indent=1, ensure_ascii=False).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made:
        for name, content in [*sorted(files.items()), ("SHA256.json", manifest)]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            made.writestr(info, content)
    return out.getvalue()


def sealed_page(content: bytes, words: str, language: str) -> bytes:
    """The page that holds *content*, a ZIP, under the passphrase *words*. Raises TooMuch."""
    if len(content) > MOST:
        raise TooMuch
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    box = AESGCM(_key(words, salt)).encrypt(nonce, content, AAD)
    held = {
        "format": AAD.decode(),
        "rounds": ROUNDS,
        "salt": _base64(salt),
        "nonce": _base64(nonce),
        "box": _base64(box),
    }
    say = Phrases("copy", language)
    page = _PAGE
    for field in ("title", "explained", "passphrase", "open", "wrong"):
        page = page.replace(f"%{field}%", html.escape(say(field)))
    page = page.replace("%lang%", language).replace("%held%", json.dumps(held))
    return page.encode()


def opened_page(page: bytes, words: str) -> bytes:
    """What :func:`sealed_page` holds. Raises ValueError, BadPassphrase, InvalidTag."""
    start = page.index(b'<script id="held" type="application/json">') + 42
    held = json.loads(page[start : page.index(b"</script>", start)])
    salt, nonce, box = (base64.b64decode(held[name]) for name in ("salt", "nonce", "box"))
    return AESGCM(_key(words, salt)).decrypt(nonce, box, AAD)


def _key(words: str, salt: bytes) -> bytes:
    return PBKDF2HMAC(SHA256(), 32, salt, ROUNDS).derive(passphrase.generated_octets(words))


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


_PAGE: Final = """<!DOCTYPE html>
<html lang="%lang%"><head><meta charset="utf-8"><title>%title%</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<style>body{font:12pt/1.5 sans-serif;max-width:38em;margin:2em auto;padding:0 1em}</style></head>
<body><h1>%title%</h1><p>%explained%</p>
<form id="form"><label>%passphrase% <input id="words" size="44" autocomplete="off"></label>
<button>%open%</button></form><p id="said" role="alert"></p>
<p hidden id="wrong">%wrong%</p>
<script id="held" type="application/json">%held%</script>
<script>
"use strict";
const held = JSON.parse(document.getElementById("held").textContent);
const octets = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
const encoder = new TextEncoder();
async function unseal(words) {
  const letters = words.toLowerCase().replace(/[ \\t\\r\\n-]/g, "");
  const given = await crypto.subtle.importKey(
    "raw", encoder.encode(letters), "PBKDF2", false, ["deriveKey"]);
  const how = {name: "PBKDF2", hash: "SHA-256", salt: octets(held.salt), iterations: held.rounds};
  const key = await crypto.subtle.deriveKey(
    how, given, {name: "AES-GCM", length: 256}, false, ["decrypt"]);
  const aad = encoder.encode(held.format);
  return crypto.subtle.decrypt(
    {name: "AES-GCM", iv: octets(held.nonce), additionalData: aad}, key, octets(held.box));
}
document.getElementById("form").addEventListener("submit", async event => {
  event.preventDefault();
  const said = document.getElementById("said");
  try {
    const content = await unseal(document.getElementById("words").value);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], {type: "application/zip"}));
    link.download = "recordings.zip";
    link.click();
    said.textContent = "";
  } catch {
    said.textContent = document.getElementById("wrong").textContent;
  }
});
</script></body></html>
"""
