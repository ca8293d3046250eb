"""Where alarms go. Each output has a queue and a thread of its own; none can hold anything up.

``syslog`` and ``led`` need no network and run in the recorder; ``email`` and ``webhook`` run in the
process ``greffier alarms forward``, because the recorder opens no connections.
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
    outputs: Iterable[Output], device: str, network: bool, trouble: Callable[[str, bool], None]
) -> list[Outbox]:
    """The outboxes of those *outputs* that need a network, or of those that need none; not started.

    *trouble* is told, from the output's thread, its name and whether it fails now.
    """
    made = []
    for output in outputs:
        if output.needs_network != network:
            continue
        every_s = MAIL_EVERY_S if output.kind == "email" else 0.0
        made.append(Outbox(output, _sender(output, device), trouble, every_s=every_s))
    return made


def _sender(output: Output, device: str) -> Sender:
    if output.kind == "syslog":
        return Syslog(output)
    if output.kind == "led":
        return Led(output, Disk())
    return Mail(output, device) if output.kind == "email" else Webhook(output, device)
