"""Opening a sound card, and its gain: the only module that speaks to ALSA.

pyalsaaudio 0.11 reads whole periods and gives the interpreter lock back meanwhile. An overrun comes
back as (-32, b''), and it has already prepared the card again; everything else is raised.
"""

import ctypes
from dataclasses import dataclass
from typing import Protocol

import alsaaudio

from greffier.errors import DeviceNotFound

OVERRUN = -32  # -EPIPE


class CardFailed(Exception):
    """A card that was open does not answer any more. *reason* is libasound's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CardSettings:
    """Which card, and how it is read: S16_LE, *channels* interleaved, *rate* frames a second.

    *device* is an ALSA name (``hw:CARD=Lines``; ``plughw:`` converts what the card cannot do).
    *period_frames* are read at once, *periods* of them fit into the card's buffer: so long may the
    thread be held up before frames are lost. A card may take the nearest that it can do of both.
    """

    device: str
    rate: int = 8000
    channels: int = 1
    period_frames: int = 160
    periods: int = 16

    @property
    def frame_octets(self) -> int:
        return 2 * self.channels


class Card(Protocol):
    """An open card. One thread owns it."""

    def read(self) -> tuple[int, bytes]:
        """Wait for a period: (frames, octets), or (OVERRUN, b""). Raises CardFailed."""

    def waiting(self) -> int:
        """Frames captured and not read at this moment; negative while there is an overrun."""

    def close(self) -> None:
        """Give the card back; nothing else may be called afterwards."""


class AlsaCard:
    """A card of ALSA. Raises DeviceNotFound if it is absent, busy, or cannot do the settings."""

    def __init__(self, settings: CardSettings) -> None:
        silence()
        try:
            self._pcm = alsaaudio.PCM(
                alsaaudio.PCM_CAPTURE,
                alsaaudio.PCM_NORMAL,
                device=settings.device,
                rate=settings.rate,
                channels=settings.channels,
                format=alsaaudio.PCM_FORMAT_S16_LE,
                periodsize=settings.period_frames,
                periods=settings.periods,
            )
        except alsaaudio.ALSAAudioError as error:
            raise DeviceNotFound(device=settings.device, reason=_reason(error)) from None
        # libasound takes the nearest that the card can do, without a word.
        got = self._pcm.info()
        wanted = (settings.rate, settings.channels, alsaaudio.PCM_FORMAT_S16_LE)
        if (got["rate"], got["channels"], got["format"]) != wanted:
            self._pcm.close()
            shown = f"{got['rate']} Hz, {got['channels']} channels, {got['format_name']}"
            raise DeviceNotFound(device=settings.device, reason=f"it only offers {shown}")

    def read(self) -> tuple[int, bytes]:
        try:
            frames, octets = self._pcm.read()
        except alsaaudio.ALSAAudioError as error:
            raise CardFailed(_reason(error)) from None
        return frames, octets

    def waiting(self) -> int:
        return int(self._pcm.avail())

    def close(self) -> None:
        self._pcm.close()


def set_gain(device: str, element: str, hundredths_db: int) -> int:
    """Set the capture gain of a mixer element; what it is now, in hundredths of a decibel.

    A card has steps, so the two may differ. *device* is the card's mixer (``hw:CARD=Lines``).
    Raises DeviceNotFound if there is no such mixer or element, or it has no scale in decibels.
    """
    silence()
    capture, unit = alsaaudio.PCM_CAPTURE, alsaaudio.VOLUME_UNITS_DB
    try:
        mixer = alsaaudio.Mixer(element, device=device)
        try:
            least, most = mixer.getrange(pcmtype=capture, units=unit)
            if least == most:
                raise DeviceNotFound(device=device, reason=f"{element} has no scale in decibels")
            mixer.setvolume(min(most, max(least, hundredths_db)), pcmtype=capture, units=unit)
            return int(mixer.getvolume(pcmtype=capture, units=unit)[0])
        finally:
            mixer.close()
    except alsaaudio.ALSAAudioError as error:
        raise DeviceNotFound(device=device, reason=_reason(error)) from None


def set_gain_percent(device: str, element: str, percent: int) -> None:
    """Set the capture gain of a mixer element to *percent* of its range.

    Raises DeviceNotFound if there is no such mixer or element.
    """
    silence()
    try:
        mixer = alsaaudio.Mixer(element, device=device)
        try:
            unit = alsaaudio.VOLUME_UNITS_PERCENTAGE
            mixer.setvolume(percent, pcmtype=alsaaudio.PCM_CAPTURE, units=unit)
        finally:
            mixer.close()
    except alsaaudio.ALSAAudioError as error:
        raise DeviceNotFound(device=device, reason=_reason(error)) from None


def _reason(error: Exception) -> str:
    """libasound's words without the device, which the message names already."""
    return str(error).rsplit(" [", 1)[0]


_HANDLER = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


def _say_nothing(_file: bytes, _line: int, _function: bytes, _error: int, _text: bytes) -> None:
    """What libasound would print on stderr comes back as an error code as well."""


_quiet = _HANDLER(_say_nothing)  # libasound keeps the address, so this must live as long
_silenced: list[bool] = []


def silence() -> None:
    """Keep libasound from printing on stderr, in this whole process."""
    if not _silenced:
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_quiet)
        _silenced.append(True)
