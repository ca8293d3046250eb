"""The recorder for years: it waits for its disk, begins, and begins again when the disk was away.

A disk that stalls or is full is ridden out inside one :class:`~greffier.recorder.live.Live`. When
the file system itself went away (read-only after an error, removed), nothing helps under open
files: then everything is let go, so that it can be mended and mounted again, the disk is waited
for, and the archive is opened anew as after a restart: recovered, the same numbers and verdicts,
new parts. Neither a restart of the process nor a person is needed for that.

The caller's thread owns everything here; :meth:`Service.stop` is for any thread.
"""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from greffier.clock import Clock
from greffier.config.records import Config
from greffier.control.board import Board
from greffier.control.messages import Failure, Replay
from greffier.control.notify import Notifier
from greffier.durable import Disk
from greffier.errors import Busy, NotADataDirectory, StorageFailed
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.recorder import reserve
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.cards import SoundCard
from greffier.recorder.governing import Governor
from greffier.recorder.live import Live
from greffier.recorder.orders import obey
from greffier.recorder.outage import Outage, alarm_of, word_of
from greffier.recorder.recall import Recall
from greffier.recorder.snapshot import snapshot_while_waiting
from greffier.recorder.taps import Port

LEAST_FREE: Final = 16 << 20
"""Bytes without which a start would only fail again after a moment."""
_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a recorder listens to, for one beginning."""

    taps: Sequence[Port]
    cards: Sequence[SoundCard] = ()


class Service:
    """One process of the recorder."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        packs: Packs,
        clock: Clock,
        board: Board,
        alarms: AlarmRoom,
        device: str,
        open_inputs: Callable[[], Inputs],
        say: Callable[[str], None],
        governor: Governor | None = None,
    ) -> None:
        """*open_inputs* opens what is listened to, once a beginning and never before the disk is
        there; *device* is the name that the status shows while nothing else is known. *say* is
        told, in one line, what the disk that is waited for has, when that changes.
        """
        self._config = config
        self._policy = policy
        self._packs = packs
        self._clock = clock
        self._board = board
        self._alarms = alarms
        self._device = device
        self._open_inputs = open_inputs
        self._say = say
        self._governor = governor  # what it says is the policy, once an archive is recovered
        self._notifier = Notifier()
        self._stop = threading.Event()
        self._live: Live | None = None  # replaced whole; stop() looks at it from any thread
        self._standing: str | None = None  # the alarm of the disk that is waited for
        self._said = ""
        self._outage: Outage | None = None
        self.recall = Recall(policy, config.lines, clock)
        board.route({Replay: self.recall.play})
        self._ran = False  # whether an archive of this process was ever in use

    def stop(self) -> None:
        """Ask for an end in good order. Any thread, or a signal handler, may call this."""
        self._stop.set()
        live = self._live
        if live is not None:
            live.stop()

    def run(self) -> None:
        """Record until :meth:`stop`.

        Raises StorageFailed: at the end not everything could be made durable. Raises
        NotADataDirectory, Busy, BadKeyFile, DeviceNotFound (at the beginning only), IntegrityError.
        """
        try:
            while not self._stop.is_set():
                archive = self._opened()
                if archive is not None and self._used(archive):
                    return
        finally:
            self.recall.close()

    def _opened(self) -> Archive | None:
        """The archive; None after a look in vain."""
        try:
            if not self._has_room():
                reason = os.strerror(errno.ENOSPC)
                raise StorageFailed(path=self._config.data, reason=reason, number=errno.ENOSPC)
            return Archive.open(self._config.data, self._clock)
        except (Busy, NotADataDirectory) as error:  # while the disk is away both may be so
            if not self._ran:
                raise
            self._wait(StorageFailed(path=self._config.data, reason=str(error)))
        except FileNotFoundError as error:
            if not self._ran:
                raise NotADataDirectory(path=self._config.data) from error
            self._wait(StorageFailed(path=self._config.data, reason=error.strerror))
        except OSError as error:
            self._wait(StorageFailed(path="-", reason=error.strerror, number=error.errno))
        except StorageFailed as error:
            self._wait(error)
        return None

    def _has_room(self) -> bool:
        """Whether a start has what it needs, of the reserve in the last resort: only who runs can
        sync, and delete, and so end a full disk. Raises OSError, StorageFailed.
        """
        data = self._config.data
        if shutil.disk_usage(data).free >= LEAST_FREE:
            return True
        if reserve.blocks_of(data / reserve.FILE) < LEAST_FREE:
            return False
        reserve.release(data, Disk())
        return shutil.disk_usage(data).free >= LEAST_FREE

    def _used(self, archive: Archive) -> bool:
        """Record into *archive*; whether that came to its proper end."""
        inputs = Inputs(())
        live = Live(
            self._config,
            self._policy,
            self._packs,
            self._clock,
            archive,
            self._board,
            self._alarms,
            self.recall,
            self._governor,
        )
        try:
            inputs = self._open_inputs()
            self._must_hear(inputs)
            live.begin(inputs.taps, inputs.cards, self._outage)
            self._begun(live)
            live.run()
            live.end()
            archive.close()
        except StorageFailed as error:
            self._lose(archive, live, error)
            if self._stop.is_set():
                raise
            return False
        except BaseException:
            self._let_go(archive)
            raise
        finally:
            self._live = None
            for tap in inputs.taps:
                tap.stop()
                tap.close()
        return True

    def _must_hear(self, inputs: Inputs) -> None:
        """A beginning at which nothing at all can be heard is a wrong configuration, or cable.

        Later, and where something can be heard, what is not there is an alarm, and looked for.
        """
        missing = [tap.missing for tap in inputs.taps]
        if not self._ran and not inputs.cards and missing and missing[0] and all(missing):
            raise missing[0]

    def _begun(self, live: Live) -> None:
        self._ran, self._outage, self._live, self._said = True, None, live, ""
        if self._standing is not None:
            self._alarms.clear(self._standing)
            self._standing = None
        if self._stop.is_set():  # it was asked for while nobody could hear
            live.stop()

    def _lose(self, archive: Archive, live: Live, error: StorageFailed) -> None:
        """Give *archive* up: nothing of it is written any more."""
        live.drop()
        since = self._clock.wall_ns()
        if live.storage.outage is not None:
            since = live.storage.outage.from_ns
        live.storage.leave()
        alarm = self._complain(error)
        if self._ran and self._outage is None:
            self._outage = Outage(since, word_of(alarm))
        self._let_go(archive)

    def _let_go(self, archive: Archive) -> None:
        while not archive.abandon():  # a disk that stalls: two must never write
            self._look()
            if self._stop.is_set():
                return

    # --- while the disk is away ---

    def _wait(self, error: StorageFailed) -> None:
        self._complain(error)
        self._look()

    def _complain(self, error: StorageFailed) -> str:
        number = error.fields.get("number")
        alarm = alarm_of(number if isinstance(number, int) else None)
        if str(error) != self._said:
            self._said = str(error)
            self._say(self._said)
            self._notifier.status(self._said)
        if alarm != self._standing:
            if self._standing is not None:
                self._alarms.clear(self._standing)
            self._alarms.raise_alarm(alarm)
            self._standing = alarm
        return alarm

    def _look(self) -> None:
        """Show how it stands, hear orders, and let a moment go by."""
        self._notifier.busy()
        self.recall.age()
        snapshot = snapshot_while_waiting(
            self._device, self._config, self._alarms.view(), self._clock
        )
        self._board.publish(snapshot)
        for order in self._board.take():
            refusal = Failure("busy", "no_disk")
            order.done(obey(order.request, self.stop, self._alarms, refusal))
        self._stop.wait(_LOOK_S)
