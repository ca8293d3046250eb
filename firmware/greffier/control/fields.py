"""The forms that the fields of control messages have; their names stand in the documents."""

from typing import Annotated

from greffier.control.forms import Text, Time, Whole

_FEW_DIGITS = r"(?!(?:\D*\d){7})"
# The names of the configuration; with at most six digits, so that no number is one.
NAME_PATTERN = rf"{_FEW_DIGITS}[A-Za-z0-9][A-Za-z0-9_.-]{{0,63}}"

Name = Annotated[str, Text(NAME_PATTERN)]
# Drawn by the device itself, so its digits are nobody's number.
Device = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")]
NameOrNone = Annotated[str, Text(rf"(?:{NAME_PATTERN})?")]
Uid = Annotated[str, Text(r"(?:[A-Za-z0-9._-]{1,64}/[A-Za-z0-9_.-]{1,64}/[0-9]{10})?")]
Id = Annotated[str, Text(r"[0-9a-f]{32}")]
Word = Annotated[str, Text(r"[a-z][a-z0-9_.]{0,47}")]
Count = Annotated[int, Whole()]
Ns = Annotated[int, Time()]
State = Annotated[str, Text("recorded|idle|not_recorded|paused|lost|blind|off")]
SeverityName = Annotated[str, Text("info|warning|critical")]
Hash = Annotated[str, Text(r"[0-9a-f]{64}")]
# Text of a signed note (C2SP): lines of printable characters.
NoteText = Annotated[str, Text(r"[^\x00-\x09\x0b-\x1f\x7f]{1,4096}")]
Receipt = Annotated[str, Text(r"[^\x00-\x09\x0b-\x1f\x7f]{1,2048}")]
Base64OrNone = Annotated[str, Text(r"[A-Za-z0-9+/]{0,2732}={0,2}")]
SyncTrouble = Annotated[str, Text(r"sync\.[a-z_]{1,32}")]
# Hundredths of a decibel below or above full scale: -96.00 dBFS is -9600.
Millibel = Annotated[int, Whole(-20_000, 2_000)]
