"""Voices that say notices and everything else, and music on hold: material of `soak notice`.

Made by what is installed here: espeak-ng and flite speak; where Debian's packages of recorded
prompts are (asterisk-core-sounds-*-wav, asterisk-prompt-*, asterisk-moh-opsound-wav), human voices
and real music join. Nothing of that is kept.
"""

import io
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.encode import core
from greffier.encode.resample import resample

Samples = NDArray[np.int16]
Sound = NDArray[np.float64]
RATE: Final = 8000
RECORDED: Final = Path("/usr/share/asterisk")
LEVEL: Final = 32768 * 10 ** (-22 / 20)
"""Every prompt is brought to this before a line changes its level."""

TEXTS: Final = {
    "fr": (
        "Bonjour, vous êtes bien chez Durand et fils. Cet appel peut être enregistré pour contrôler"
        " la qualité de notre service. Pour refuser, appuyez sur neuf à tout moment.",
        "Pharmacie du marché, bonjour. Pour former nos équipes, certaines conversations sont"
        " enregistrées et gardées trois mois. Vous pouvez vous y opposer par la touche neuf.",
        "Vous êtes en relation avec la mutuelle du littoral. Afin d'améliorer notre accueil, un"
        " échantillon des appels est enregistré. Si vous ne le souhaitez pas, tapez neuf.",
        "Bonjour, nos bureaux sont ouverts du lundi au vendredi, de neuf heures à dix-huit heures."
        " En dehors de ces horaires, laissez un message après le signal sonore.",
        "Merci de patienter, toutes nos lignes sont occupées. Un conseiller va prendre votre appel"
        " dans quelques instants. L'attente est estimée à moins de trois minutes.",
        "Bonjour, vous êtes bien chez Durand et fils. Pour le service commercial, tapez un. Pour la"
        " comptabilité, tapez deux. Pour toute autre demande, restez en ligne.",
        "Votre commande a été expédiée hier soir. Le transporteur vous contactera demain matin pour"
        " fixer un rendez-vous de livraison à votre domicile ou en point relais.",
    ),
    "en": (
        "Hello, and thank you for calling. This call may be recorded for training and quality"
        " purposes. If you do not wish to be recorded, press nine at any time.",
        "Welcome to the harbour insurance company. A sample of our calls is recorded so that we can"
        " improve our service. You may object now or later by pressing nine.",
        "Good morning. For your protection and ours, telephone orders given on this line are"
        " recorded and kept for five years. You may ask for a copy in writing.",
        "Our offices are closed at the moment. We are open from Monday to Friday between nine and"
        " six. Please leave a message after the tone and we shall call you back.",
        "All of our agents are busy right now. Please stay on the line, your call will be answered"
        " in the order in which it was received. Thank you for your patience.",
        "Hello, and thank you for calling. For sales, press one. For billing and payments, press"
        " two. To hear these choices again, press the star key.",
    ),
    "de": (
        "Guten Tag, willkommen bei der Stadtsparkasse. Dieses Gespräch kann zur Verbesserung"
        " unserer Beratung aufgezeichnet werden. Sonst drücken Sie bitte jederzeit die neun.",
        "Unsere Büros sind zur Zeit geschlossen. Sie erreichen uns von Montag bis Freitag zwischen"
        " acht und siebzehn Uhr. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
        "Alle unsere Mitarbeiter sind im Gespräch. Bitte bleiben Sie am Apparat, der nächste freie"
        " Berater ist gleich für Sie da. Vielen Dank für Ihre Geduld und Ihr Verständnis.",
    ),
    "es": (
        "Buenos días, gracias por llamar a nuestra empresa. Esta llamada puede ser grabada para"
        " mejorar la calidad del servicio. Si no lo desea, pulse nueve en cualquier momento.",
        "Nuestras oficinas están cerradas en este momento. El horario de atención es de lunes a"
        " viernes, de nueve a dieciocho horas. Deje su mensaje después de la señal.",
        "Todos nuestros agentes están ocupados. Por favor, permanezca en línea y le atenderemos en"
        " unos instantes. Gracias por su paciencia y por confiar en nosotros.",
    ),
    "it": (
        "Buongiorno e grazie per aver chiamato. Questa telefonata può essere registrata per"
        " migliorare la qualità del servizio. Se non lo desidera, prema nove in ogni momento.",
        "I nostri uffici sono chiusi. Siamo aperti dal lunedì al venerdì, dalle nove alle diciotto."
        " Lasci un messaggio dopo il segnale acustico e la richiameremo.",
        "Tutti i nostri operatori sono occupati. La preghiamo di restare in linea, risponderemo"
        " appena possibile. Grazie per la pazienza e per la fiducia.",
    ),
}
# True: its sound was looked at while the thresholds were chosen.
_ESPEAK: Final = {
    "fr": (("fr", True), ("fr+f2", True), ("fr+m3", True), ("fr+klatt2", True),
           ("fr-be+m7", True), ("fr+croak", True), ("fr+whisper", True), ("fr+f5", False),
           ("fr+Michel", False), ("fr-ch+m1", False), ("fr+Denis", False)),
    "en": (("en-us", True), ("en-gb+f3", True), ("en-us+m5", True), ("en-029+m4", False),
           ("en-gb-x-rp+f1", False)),
    "de": (("de", True), ("de+f1", True), ("de+m6", False)),
    "es": (("es", True), ("es-419+f5", True), ("es+m2", False)),
    "it": (("it", False), ("it+f4", False), ("it+klatt4", False)),
}  # fmt: skip
_FLITE: Final = (("kal16", True), ("awb", True), ("rms", True), ("slt", True), ("kal", False))
_PEOPLE: Final = (
    "en_US_f_Allison", "fr_CA_f_June", "es_MX_f_Allison", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU",
    "it_IT_f_Menardi", "fr", "es",
)  # fmt: skip
_LEAST_S, _MOST_S = 6, 30


@dataclass(frozen=True)
class Voice:
    """Who speaks: *prompts* are what may be learnt, *others* what else is said by the same."""

    name: str
    engine: str
    tuned: bool
    prompts: tuple[Sound, ...]
    others: tuple[Sound, ...] = ()

    @property
    def all(self) -> tuple[Sound, ...]:
        """Everything that it says."""
        return (*self.prompts, *self.others)


def voices() -> Iterator[Voice]:
    """Every voice that speaks here."""
    for language, names in _ESPEAK.items():
        for name, tuned in names:
            made = tuple(_levelled(_espeak(name, text)) for text in TEXTS[language])
            yield Voice(f"espeak {name}", "espeak", tuned, made)
    if _runs("flite", "--version"):
        for name, tuned in _FLITE:
            made = tuple(_levelled(_flite(name, text)) for text in TEXTS["en"])
            yield Voice(f"flite {name}", "flite", tuned, made)
    for name in _PEOPLE:
        if found := _person(RECORDED / "sounds" / name):
            # The lab heard some prompts of all of them.
            yield Voice(f"recorded {name}", "recorded", True, *found)


def music() -> tuple[Sound, ...]:
    """Music on hold: pieces that are installed, and pieces made here."""
    found = [
        _levelled(_wav(path.read_bytes()), edges=False)
        for path in sorted((RECORDED / "moh").glob("*.wav"))
    ]
    return (*found, *(_levelled(_composed(seed), edges=False) for seed in range(12)))


def _runs(*words: str) -> bool:
    try:
        subprocess.run(words, check=False, capture_output=True)
    except OSError:
        return False
    return True


def _wav(data: bytes) -> Samples:
    with wave.open(io.BytesIO(data)) as file:
        found = np.frombuffer(file.readframes(2**26), "<i2")
        return resample(found.astype(np.int16), file.getframerate(), RATE)


def _espeak(voice: str, text: str) -> Samples:
    words = ["espeak-ng", "-v", voice, "--stdout", text]
    return _wav(subprocess.run(words, check=True, capture_output=True).stdout)


def _flite(voice: str, text: str) -> Samples:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        words = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
        subprocess.run(words, check=True, capture_output=True)
        return _wav(path.read_bytes())


def _person(folder: Path) -> tuple[tuple[Sound, ...], tuple[Sound, ...]] | None:
    """Recorded prompts: what is long enough by itself, and short ones as talk."""
    long: list[Sound] = []
    short: list[Sound] = []
    for path in sorted([*folder.glob("*.wav"), *folder.glob("*.gsm")]):
        data = path.read_bytes()
        if path.suffix == ".gsm":
            found = np.asarray(core.GsmDecoder().decode(data[: len(data) // 33 * 33]))
        else:
            found = _wav(data)
        if len(found) < RATE or int(np.abs(found.astype(np.int32)).max()) < 1000:
            continue
        sound = _levelled(found)
        if _LEAST_S * RATE <= len(sound) <= _MOST_S * RATE:
            long.append(sound)
        elif len(sound) < _LEAST_S * RATE:
            short.append(sound)
    talk = [np.concatenate(short[at : at + 5]) for at in range(0, len(short), 5)]
    return (tuple(long), tuple(talk)) if long else None


def _levelled(samples: Samples, *, edges: bool = True) -> Sound:
    """Without silence at its ends, at the usual level."""
    sound = samples.astype(np.float64)
    if edges:
        loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
        sound = sound[loud[0] : loud[-1] + 1]
    return np.asarray(sound * (LEVEL / np.sqrt(np.square(sound).mean())))


def _composed(seed: int, seconds: int = 60) -> Samples:
    """Chords, a melody with vibrato or a sung vowel, and on some of them a beat."""
    rng = np.random.default_rng(seed)
    beat = int(RATE * 60 / rng.uniform(70, 140))
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) if seed % 2 else np.array([0, 2, 3, 5, 7, 8, 10])
    root = rng.uniform(110, 180)
    out = np.zeros(seconds * RATE)
    voices_of: list[Callable[[Sound, float], Sound]] = [_plucked, _sung, _bowed]
    lead = voices_of[seed % 3]
    for start in range(0, len(out) - beat, beat):
        at = np.arange(beat) / RATE
        if start // beat % 4 == 0:
            degree = int(rng.choice([0, 3, 4, 5]))
        for step in (0, 2, 4):
            note = scale[(degree + step) % 7] + 12 * ((degree + step) // 7)
            out[start : start + beat] += 0.3 * _bowed(at, root * 2 ** (note / 12))
        note = scale[rng.integers(7)] + 12
        out[start : start + beat] += lead(at, root * 2 ** (note / 12))
        if seed % 4:
            hit = np.exp(-at * 60) * rng.standard_normal(beat)
            out[start : start + beat] += 0.6 * hit
    return np.asarray(np.clip(out * 3000, -32768, 32767), np.int16)


def _plucked(at: Sound, pitch: float) -> Sound:
    waves = [np.sin(2 * np.pi * pitch * n * at) / n for n in range(1, 8)]
    return np.asarray(np.sum(waves, axis=0) * np.exp(-3 * at))


def _bowed(at: Sound, pitch: float) -> Sound:
    waves = [np.sin(2 * np.pi * pitch * n * at) / n for n in (1, 2, 3, 5)]
    return np.asarray(np.sum(waves, axis=0))


def _sung(at: Sound, pitch: float) -> Sound:
    bent = pitch * at + 0.02 * np.sin(2 * np.pi * 5.5 * at)
    harmonics = np.arange(1, int(3600 / pitch))
    formants = np.array([[700.0], [1200.0], [2600.0]])
    gains = np.exp(-(((harmonics * pitch - formants) / 150) ** 2)).sum(axis=0) + 0.02
    return np.asarray((gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * bent)).sum(axis=0))
