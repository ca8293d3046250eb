"""The reference of sync.throughput: a publisher and a subscriber in C over libmosquitto.

The subscriber hashes each 4 MiB, writes it to a file, syncs file and folder and says so; the time
ends when the publisher has heard that of all. No log, no offers, no receipts, no catalogue: the
least that "durable at the other end" can mean.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greffier.sync import topics
from greffier_sim.broker import HOST
from greffier_sim.head_office import HeadOffice
from greffier_sim.mqtt_party import DENIED, Credentials, Party
from greffier_sim.service import cpu_s, wait_until

HERE = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
BLOCK_MIB = 4


@dataclass(frozen=True, slots=True)
class Moved:
    """One run: how long it took, and CPU seconds of the sending and the storing side."""

    mib: int
    seconds: float
    sender_cpu_s: float
    store_cpu_s: float

    @property
    def rate(self) -> float:
        """MiB a second."""
        return self.mib / self.seconds


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two programs lie."""

    publisher: Path
    subscriber: Path


def compiled(folder: Path) -> Programs:
    """Build both into *folder*. Raises CalledProcessError without libmosquitto-dev, libssl-dev."""
    programs = Programs(folder / "bench_mqtt_pub", folder / "bench_mqtt_sub")
    for program, libraries in (
        (programs.publisher, ("-lmosquitto",)),
        (programs.subscriber, ("-lmosquitto", "-lcrypto")),
    ):
        source = str(HERE / f"{program.name}.c")
        subprocess.run(["gcc", *FLAGS, source, *libraries, "-o", str(program)], check=True)
    return programs


@contextlib.contextmanager
def _subscribed(words: list[str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the reference's subscriber did not come up")
            yield process
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Way:
    """Between whom, and on which topics, which the broker lets them use."""

    port: int
    sender: Credentials
    store: Credentials
    chunks: str
    done: str

    def words(self, who: Credentials) -> list[str]:
        """The arguments that both programs begin with."""
        files = [str(who.ca), str(who.certificate), str(who.key)]
        return [str(self.port), HOST, *files, self.chunks, self.done]


def way(head: HeadOffice) -> Way:
    """Between a box that *head* lets in now and its collector, which must not run meanwhile."""
    box = head.admit(0xBE)
    ca = head.office.ca_certificate
    made = Way(
        head.broker.port,
        Credentials(ca, box.folder.certificate(), box.folder.key()),
        Credentials(ca, *head.office.collector()),
        topics.up(box.device, "offer"),
        topics.down(box.device, "receipt"),
    )
    with Party(made.port, made.sender) as sender:  # the broker reads its list in its own time
        wait_until(lambda: sender.say(made.chunks, b"") != DENIED, "the broker knows the sender")
    return made


def run(programs: Programs, way: Way, store: Path, mib: int) -> Moved:
    """Move *mib* (whole blocks) into the empty folder *store*. Raises RuntimeError."""
    sub = [str(programs.subscriber), *way.words(way.store), str(store)]
    pub = [str(programs.publisher), *way.words(way.sender), str(mib // BLOCK_MIB)]
    with _subscribed(sub) as subscriber:
        before = cpu_s(subscriber.pid)
        with subprocess.Popen(pub, stdout=subprocess.PIPE, text=True) as publisher:
            said = publisher.stdout.read() if publisher.stdout else ""
            _, status, used = os.wait4(publisher.pid, 0)
            publisher.returncode = os.waitstatus_to_exitcode(status)
        if publisher.returncode:
            raise RuntimeError("the reference's publisher failed")
        spent = cpu_s(subscriber.pid) - before
    if sum(path.stat().st_size for path in store.iterdir()) != mib << 20:
        raise RuntimeError("the reference stored something else than it was sent")
    return Moved(mib, float(said), used.ru_utime + used.ru_stime, spent)
