"""`./build.sh demo`: real calls become lawful, sealed, provable recordings, at head office too.

Everything is local and real: a box is enrolled at a head office, SIPp places calls over a bridge
whose port is mirrored, a recorder process listens to the mirror; the line to head office is cut and
comes back, processes are killed and start again, and the product's own commands show what is left.
Each promise is checked against what was really said and what tcpdump saw beside the recorder; the
exit code is 0 only if all of them hold.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greffier import language
from greffier.cli.main import speak, take_language
from greffier.errors import GreffierError
from greffier.language import translate as _
from greffier_sim import branch, promises
from greffier_sim.acts import perform
from greffier_sim.collection import Sites
from greffier_sim.scenes import words_of
from greffier_sim.stage import Broken, Told, say


def who_of(call: dict[str, Any]) -> str:
    """Who calls whom, or on which analogue line."""
    if call["from"] is None:
        return f"{call['legs'][0]['source']:>14}"
    return f"{call['from']:>14} → {call['to']:<12}"


def run(folder: Path, started: float) -> tuple[dict[str, Any], list[str]]:
    """The whole story in *folder*; the figures, and the promises that failed. Raises Broken."""
    told = Told()
    with tempfile.TemporaryDirectory(prefix="greffier-demo-") as sockets:
        sites = Sites(folder, Path(sockets))
        perform(sites, told)
        promises.list_calls(sites, told)
        say(_("▶ What became of each call, and why"))
        for call in told.calls:
            say(f"  {who_of(call):<29} {words_of(call)}")
        figures = promises.examine(sites, told)
    figures["elapsed_s"] = round(time.monotonic() - started, 1)
    return figures, [what for what, held in told.checks if not held]


def show(figures: dict[str, Any]) -> str:
    """The figures as a table that a manager understands."""
    words = {"SAMPLED_OUT": _("not drawn"), "INTERNAL_OFF": _("internal")}
    left_out = ", ".join(
        f"{count} {words.get(code, code)}" for code, count in figures["not_recorded"].items()
    )
    rows = [
        (_("calls placed"), figures["calls"]),
        (_("calls recorded"), figures["recorded"]),
        (_("not recorded, and why"), left_out or "0"),
        (_("packets lost"), figures["lost_packets"]),
        (_("seconds without recorder, told as such"), figures["off_s"]),
        (_("seconds without a line to head office"), figures["outage_s"]),
        (_("recordings that head office confirmed"), figures["receipts"]),
        (_("time accounted for"), f"{figures['coverage_accounted']:.3%}"),
        (_("entries of the audit log"), figures["audit_entries"]),
        (_("parts opened by a thief"), figures["opens_without_key"]),
        (_("recordings opened by head office"), figures["opens_with_key"]),
        (_("seconds, all told"), figures["elapsed_s"]),
    ]
    width = max(len(name) for name, _value in rows)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def with_folder(keep: str | None, work: Callable[[Path], int]) -> int:
    """Do *work* in *keep* (made, must be empty), or in a folder that goes away.

    Logs and sounds are kept only where it failed.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="greffier-demo-") as name:
            return work(Path(name))
    folder = Path(keep).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        say(_("{path} is not empty; choose another folder").format(path=folder))
        return 2
    code = work(folder)
    if code == 0:
        shutil.rmtree(folder / "work", ignore_errors=True)
    return code


def main() -> int:
    """Entry point of ./build.sh demo."""
    started = time.monotonic()
    try:
        chosen, words = take_language(sys.argv[1:])
    except GreffierError as error:
        say(str(error))
        return 2
    speak(chosen)
    parser = argparse.ArgumentParser(
        prog="./build.sh demo",
        epilog=_("{name}=1 in the environment: over the loopback, without namespaces").format(
            name=branch.LOOPBACK_SWITCH
        ),
    )
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--keep", metavar="DIR", help="leave device/ sync/ office/ keys/ in DIR")
    arguments = parser.parse_args(words)

    def work(folder: Path) -> int:
        try:
            figures, failed = run(folder, started)
        except Broken as error:
            say(f"✖ {error}")
            return 1
        except KeyboardInterrupt:
            say(_("interrupted"))
            return 130
        say()
        say(show(figures))
        for promise in failed:
            say(f"✖ {promise}")
        if arguments.as_json:
            print(json.dumps(figures))
        return 1 if failed else 0

    return with_folder(arguments.keep, work)


if __name__ == "__main__":
    language.choose(language.DEFAULT)
    sys.exit(main())
