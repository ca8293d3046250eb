"""One connection to a real broker: what is asked of TCP."""

from greffier.sync.dialling import UNANSWERED_MS, Identity, dial
from greffier_sim.broker import HOST
from greffier_sim.head_office import HeadOffice


def test_nothing_waits_for_company_and_a_line_that_forgot_us_is_given_up(
    head_office: HeadOffice,
) -> None:
    box = head_office.admit()
    folder = box.folder
    identity = Identity(box.device, folder.certificate(False), folder.key(False), folder.authority)
    link = dial(identity, HOST, head_office.broker.port, 30, None)
    try:
        assert link.nodelay
        assert link.unanswered_ms == UNANSWERED_MS
    finally:
        link.close()
