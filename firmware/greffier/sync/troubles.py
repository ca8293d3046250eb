"""What can be wrong between the box and head office: names of alarms, each with its one line.

Pure. The names are those of ``sync_report`` (docs/control-protocol.md); the texts are message
identifiers. Where several stand, the earlier one in :data:`TEXTS` is what a person is told first.
"""

import errno
import socket
import ssl
from collections.abc import Collection
from typing import Final

TEXTS: Final[dict[str, str]] = {
    "sync.certificate_expired": "this box's certificate has expired: enrol it again",
    "sync.certificate_early": "this box's certificate is not valid yet: is its clock wrong?",
    "sync.certificate_refused": "the broker refuses this box's certificate: ask head office",
    "sync.certificate_unusable": "this box's certificate or key cannot be used: enrol it again",
    "sync.key_mismatch": "this box's key does not belong to its certificate: enrol it again",
    "sync.broker_expired": "the broker's certificate has expired: tell head office",
    "sync.broker_early": "the broker's certificate is not valid yet: is this box's clock wrong?",
    "sync.broker_unknown": "the broker's certificate is not head office's: is the address right?",
    "sync.broker_name": "the broker's certificate bears another name: is the address right?",
    "sync.host_unknown": "the broker's name cannot be resolved: is there a network?",
    "sync.no_network": "there is no way to the broker: is there a network?",
    "sync.refused_connection": "nobody listens at the broker's address: tell head office",
    "sync.no_answer": "the broker does not answer",
    "sync.tls": "no secure connection to the broker comes about",
    "sync.denied": "the broker's access list refuses this box: tell head office",
    "sync.taken_over": "another connection uses this box's certificate: tell head office",
    "sync.too_large": "the broker takes no messages of the size that is needed: tell head office",
    "sync.broker": "the broker refuses messages: tell head office",
    "sync.lost": "the connection to the broker was lost",
    "sync.no_collector": "the broker answers, but nobody at head office takes anything",
    "sync.fork": "head office has another log of this box: do not touch it, tell head office",
    "sync.untaken": "head office answers, but does not take the log: is its disk full?",
    "sync.receipt": "a receipt was not believed: tell head office",
    "sync.cosignature": "a cosigned checkpoint was not believed: tell head office",
    "sync.altered": "a part's file is not what the log says: run `greffier audit verify`",
    "sync.refused": "head office refuses a part: tell head office",
    "sync.late": "head office has confirmed nothing for too long, and parts wait",
    "sync.outbox": "the outbox cannot be written: check the disk",
    "sync.recorder": "the recorder does not answer",
    "sync.other_box": "this folder was enrolled for another box: enrol this one",
    "sync.not_enrolled": "this box is not enrolled at a head office",
}
FLEETING: Final = frozenset(
    {
        "sync.lost",
        "sync.no_answer",
        "sync.no_network",
        "sync.host_unknown",
        "sync.refused_connection",
        "sync.recorder",
        "sync.tls",
        "sync.no_collector",
    }
)
"""What passes by itself in the ordinary course; no alarm at once."""
_ALARMS: Final = {
    "sync.denied": "sync.broker_denied",
    "sync.taken_over": "sync.broker_denied",
    "sync.broker": "sync.other",
    "sync.too_large": "sync.too_large",
    "sync.fork": "sync.forked",
    "sync.refused": "sync.refused",
    "sync.late": "sync.backlog",
    "sync.untaken": "sync.backlog",
    "sync.outbox": "sync.storage",
    "sync.no_collector": "sync.no_collector",
    "sync.receipt": "sync.other",
    "sync.cosignature": "sync.other",
    "sync.altered": "sync.other",
    "sync.other_box": "sync.certificate",
    "sync.certificate_unusable": "sync.certificate",
    "sync.key_mismatch": "sync.certificate",
}
_CERTIFICATES: Final = ("sync.certificate_", "sync.broker_")
_ALERTS: Final = (
    ("CERTIFICATE_EXPIRED", "sync.certificate_expired"),
    ("CERTIFICATE_REVOKED", "sync.certificate_refused"),
    ("CERTIFICATE_REQUIRED", "sync.certificate_refused"),
    ("CERTIFICATE_UNKNOWN", "sync.certificate_refused"),
    ("BAD_CERTIFICATE", "sync.certificate_refused"),
    ("UNKNOWN_CA", "sync.certificate_refused"),
    ("ACCESS_DENIED", "sync.certificate_refused"),
    ("KEY_VALUES_MISMATCH", "sync.key_mismatch"),
)
# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_VERIFY: Final = {10: "sync.broker_expired", 9: "sync.broker_early", 62: "sync.broker_name"}
_VERIFY_NAME: Final = 64
_REASONS: Final = {
    0x86: "sync.denied",
    0x87: "sync.denied",
    0x8A: "sync.denied",
    0x8C: "sync.denied",
    0x8E: "sync.taken_over",
    0x95: "sync.too_large",
}


def alarm_of(name: str) -> str:
    """The recorder's alarm for the trouble *name* (docs/control-protocol.md): several share one."""
    if name in _ALARMS:
        return _ALARMS[name]
    return "sync.certificate" if name.startswith(_CERTIFICATES) else "sync.offline"


def may_pass(name: str) -> bool:
    """Whether a connection with the trouble *name* may come back without a person.

    "sync.broker" is among them: one that is busy or ends says so (MQTT 5 section 2.4, 0x89, 0x8B).
    """
    return name in FLEETING or name == "sync.broker"


def of_error(error: BaseException) -> str:
    """The trouble that an *error* of connecting means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _VERIFY_NAME:
            return "sync.broker_name"
        return _VERIFY.get(error.verify_code, "sync.broker_unknown")
    if isinstance(error, ssl.SSLError):
        return of_text(str(error)) or "sync.tls"
    if isinstance(error, socket.gaierror):
        return "sync.host_unknown"
    if isinstance(error, ConnectionRefusedError):
        return "sync.refused_connection"
    if isinstance(error, TimeoutError):
        return "sync.no_answer"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "sync.no_network"
    if isinstance(error, FileNotFoundError | PermissionError):
        return "sync.certificate_unusable"
    return "sync.lost"


def of_text(text: str) -> str:
    """The trouble that a message of OpenSSL names; "" where it names none."""
    upper = text.upper().replace(" ", "_")
    return next((name for mark, name in _ALERTS if mark in upper), "")


def of_reason(code: int) -> str:
    """The trouble that a reason code of CONNACK or DISCONNECT (MQTT 5 section 2.4) means."""
    return _REASONS.get(code, "sync.broker")


def first_of(names: Collection[str]) -> str:
    """The one of *names* that a person is told first; "" where there is none."""
    return next((one for one in TEXTS if one in names), next(iter(sorted(names)), ""))
