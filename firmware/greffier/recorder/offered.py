"""Where the first message of a call says that its sender will be heard.

A call that is cut while it rings has no leg yet. If it is answered before the recorder runs again,
this address is all by which its sound can be known to be its own.
"""

from greffier.calls.claims import media_address
from greffier.calls.events import CallStarted
from greffier.capture.datagram import Address
from greffier.sip import sdp
from greffier.sip.multipart import sdp_parts


def offered(call: CallStarted) -> Address | None:
    """The address of the first audio stream that *call*'s first message describes, or None."""
    message, source = call.message, call.source
    if message is None or source is None or not message.body:
        return None
    for part in sdp_parts(message):
        try:
            session = sdp.parse(part)
        except sdp.BadSession:  # the tracker counts it
            continue
        for media in session.media:
            if media.kind == "audio":
                return media_address(media, source.host)
    return None
