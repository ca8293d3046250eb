"""Each part that a recorder seals during a soak is judged by a process, then removed.

The disk does not fill, and what is judged is what a reader of the file hears.
"""

import json
import sqlite3
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from greffier.clock import Clock
from greffier.durable import Disk
from greffier.recorder.archive import Archive
from greffier.recorder.tape import Tape
from greffier.store.layout import DataDirectory


class Watched(Archive):
    """An archive that knows which parts it was given."""

    def __init__(self, data: DataDirectory, clock: Clock, disk: Disk) -> None:
        super().__init__(data, clock, disk)
        self.begun: deque[Tape] = deque()
        """In order; the judge takes out what it has judged."""
        self._reading: sqlite3.Connection | None = None

    def add(self, tape: Tape) -> None:
        super().add(tape)
        self.begun.append(tape)

    def sealed(self) -> list[Tape]:
        """Those that are on record as whole: nothing of them is to come, nobody reads them.

        For one thread that is not the owner's.
        """
        if self._reading is None:
            path = f"{self.data.index.absolute().as_uri()}?mode=ro"
            self._reading = sqlite3.connect(path, uri=True, check_same_thread=False)
        if not self._reading.execute("PRAGMA user_version").fetchone()[0]:
            return []  # the recorder has begun its index, and not filled it yet
        known = {part for (part,) in self._reading.execute("SELECT id FROM parts")}
        return [tape for tape in list(self.begun) if tape.part.hex() in known]

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
        super().close()


class Judge:
    """The judging process, fed by a thread that also removes what was judged."""

    def __init__(self, key: Path, lines: dict[str, dict[str, Any]], archive: Watched) -> None:
        words = [sys.executable, "-m", "greffier_sim.heard_parts", str(key), json.dumps(lines)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._archive = archive
        self._stop = threading.Event()
        # The thread's until it has ended.
        self.lines: dict[str, dict[str, Any]] = {}
        self.gaps: dict[str, list[list[int]]] = {name: [] for name in lines}
        self.judged = 0
        self.behind = 0
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)
        self._thread.start()

    def finish(self) -> int:
        """Judge what is left; how many parts were not judged."""
        self._stop.set()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(60)
        return len(self._archive.begun)

    def _run(self) -> None:
        while True:
            last = self._stop.wait(0.1)
            sealed = self._archive.sealed()
            self.behind = max(self.behind, len(sealed))
            for tape in sealed:
                path = self._archive.vault.path_of(tape.part.hex())
                if not self._judge(path, tape.envelopes):
                    return
                self._archive.begun.remove(tape)
                path.unlink()
            if last:
                return

    def _judge(self, path: Path, envelopes: bytes) -> bool:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            return False
        to.write(json.dumps({"path": str(path), "block": envelopes.hex()}) + "\n")
        to.flush()
        answer = back.readline()
        if not answer:  # it died; its words are on stderr
            return False
        found = json.loads(answer)
        self.lines[found["line"]] = found
        self.gaps[found["line"]] += found.pop("gaps")
        self.judged += 1
        return True
