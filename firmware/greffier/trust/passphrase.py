"""Passphrases that the box draws, and what guessing one costs.

Pure but for the operating system's generator. docs/operator-keys.md section 3.
"""

import hashlib
import math
import secrets
import unicodedata

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
SYLLABLES = tuple(one + two for one in CONSONANTS for two in VOWELS)
DRAWN = 12
BITS = DRAWN * math.log2(len(SYLLABLES))  # 73.5
SHORTEST_CHOSEN, FEWEST_LETTERS, LONGEST = 10, 5, 256
YEAR_S = 31_557_600
MACHINES = 10**6

_CHECK = b"greffier/passphrase@v1\0"


class BadPassphrase(ValueError):
    """The words cannot be a passphrase; ``code``: mistyped, short, simple, long, empty, letters."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def generate() -> str:
    """A new passphrase of 73.5 bits: twelve drawn syllables and one that checks them."""
    drawn = "".join(secrets.choice(SYLLABLES) for _ in range(DRAWN))
    return shown(drawn + check_syllable(drawn))


def shown(letters: str) -> str:
    """The same in groups of six letters."""
    return "-".join(letters[at : at + 6] for at in range(0, len(letters), 6))


def check_syllable(drawn: str) -> str:
    """The syllable that finds a slip in 69 of 70 cases."""
    number = int.from_bytes(hashlib.sha256(_CHECK + drawn.encode()).digest(), "big")
    return SYLLABLES[number % len(SYLLABLES)]


def generated_octets(typed: str) -> bytes:
    """What a drawn passphrase is worth, however it was typed. Raises BadPassphrase (mistyped)."""
    letters = "".join(one for one in typed.lower() if one not in " -\t\r\n")
    pairs = [letters[at : at + 2] for at in range(0, len(letters), 2)]
    right = len(pairs) == DRAWN + 1 and all(pair in SYLLABLES for pair in pairs)
    if not right or check_syllable(letters[:-2]) != pairs[-1]:
        raise BadPassphrase("mistyped")
    return letters.encode()


def chosen_octets(typed: str) -> bytes:
    """What a passphrase that a person chose is worth: NFC, UTF-8, without the spaces around it.

    Raises BadPassphrase (empty, long, letters).
    """
    text = unicodedata.normalize("NFC", typed.strip())
    if not text:
        raise BadPassphrase("empty")
    if len(text) > LONGEST:
        raise BadPassphrase("long")
    if not text.isprintable():
        raise BadPassphrase("letters")
    return text.encode()


def check_chosen(typed: str) -> None:
    """Refuse what is too easy even where a TPM counts the guesses. Raises BadPassphrase."""
    text = chosen_octets(typed).decode()
    if len(text) < SHORTEST_CHOSEN:
        raise BadPassphrase("short")
    if len(set(text.lower())) < FEWEST_LETTERS:
        raise BadPassphrase("simple")


def years(bits: float, guess_s: float, machines: int = MACHINES) -> float:
    """How long *machines* take, on average, where each guess takes each of them *guess_s*."""
    return math.exp2(bits - 1) * guess_s / machines / YEAR_S
