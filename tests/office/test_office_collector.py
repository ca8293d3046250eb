"""``greffier-office serve`` with a real broker: what is receipted is held, whatever is killed."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.office.scripted_box import scripted

from greffier.audit import note
from greffier_sim.head_office import HeadOffice
from greffier_sim.held_parts import held_parts
from greffier_sim.service import Service


class Serve(Service):
    """``greffier-office serve``, ready when it says so."""

    def __init__(self, at: HeadOffice, *words: str) -> None:
        path = at.folder / f"serve{len(list(at.folder.glob('serve*')))}.log"
        self._lives = 0
        super().__init__(
            ["greffier-office", "serve", "--office", str(at.office.path), "--json", *words], path
        )

    def spawn(self) -> int:
        self._lives = self.said().count('"ready": true')
        return super().spawn()

    def ready(self) -> bool:
        return self.said().count('"ready": true') > self._lives


@contextmanager
def serving(at: HeadOffice, *words: str) -> Iterator[Serve]:
    """A collector that is ready."""
    one = Serve(at, *words)
    one.start()
    try:
        yield one
    finally:
        one.kill()


def test_parts_and_log_arrive_and_everything_is_signed(head_office: HeadOffice) -> None:
    with serving(head_office, "--lane", "a1") as serve, scripted(head_office) as box:
        box.hand.say("device.created", device=box.device, version="0.1.0")
        small, large = box.hand.hold(5000), box.hand.hold((9 << 20) + 17)
        have = box.replicate()
        witness = head_office.office.public_keys()[1]
        opened = note.open_checkpoint(
            have.cosigned.encode(), note.read_key(box.hand.key.public_line()), [witness]
        )
        assert (opened.checkpoint.size, len(opened.cosignatures)) == (5, 1)
        first = box.deliver(small)
        assert (first.device, first.part, first.size) == (box.device, small.part, 5000)
        assert box.deliver(large).sha256 == large.sha256
        assert box.deliver(small) == first  # a lost receipt is repaired by the same offer
        assert serve.stop() == 0
    both = {(box.device, small.part), (box.device, large.part)}
    assert held_parts(head_office.office) == both


def test_what_was_receipted_is_there_after_a_kill(head_office: HeadOffice) -> None:
    with serving(head_office) as serve, scripted(head_office) as box:
        parts = [box.hand.hold(3000 + number) for number in range(3)]
        box.replicate()
        receipts = []
        for part in parts:
            receipts.append(box.deliver(part))
            serve.kill()
            assert len(held_parts(head_office.office)) == len(receipts)
            serve.start()
        assert [box.deliver(part) for part in parts] == receipts
        assert box.replicate().size == len(box.hand.log)
