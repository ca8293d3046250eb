"""Where alarms go. Each output has a queue and a thread of its own; none can hold anything up.

Only ``syslog`` runs in the recorder, which opens no connections. The others run in the process
``greffier alarms forward``: so a lamp is lit, and a mail sent, when the recorder is dead too.
"""

from collections.abc import Callable, Iterable

from greffier.config.records import Output
from greffier.durable import Disk
from greffier.recorder.outputs.led import Led
from greffier.recorder.outputs.mail import Mail
from greffier.recorder.outputs.outbox import Outbox, Sender
from greffier.recorder.outputs.syslog import Syslog
from greffier.recorder.outputs.webhook import Webhook

# An e-mail gathers what happens within this time; the other kinds are told at once.
MAIL_EVERY_S = 60.0


def make(
    outputs: Iterable[Output], device: str, trouble: Callable[[str, bool], None]
) -> list[Outbox]:
    """An outbox for each of *outputs*, not started. *device* is the box's name.

    *trouble* is told, from the output's thread, its name and whether it fails now.
    """
    return [
        Outbox(
            output,
            _sender(output, device),
            trouble,
            every_s=MAIL_EVERY_S if output.kind == "email" else 0.0,
        )
        for output in outputs
    ]


def _sender(output: Output, device: str) -> Sender:
    if output.kind == "syslog":
        return Syslog(output)
    if output.kind == "led":
        return Led(output, Disk())
    return Mail(output, device) if output.kind == "email" else Webhook(output, device)
