"""What keeps a recorder from recording, looked at one by one: each finding with what mends it.

Read only, except that a packet socket is opened and closed. Checks build on each other: what an
earlier one found missing, a later one does not complain of again.
"""

import os
import pwd
import resource
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from greffier import trust
from greffier.audit import verify
from greffier.clock import BUILT_NS, Clock, format_time
from greffier.config.records import Config, Control
from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.language import translate as _
from greffier.policy import check as compiler
from greffier.policy import packs as law_packs
from greffier.policy.site import Policy
from greffier.recorder import adoption, checks_actions, checks_medium, checks_notice
from greffier.recorder.finding import Finding
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout
from greffier.store.layout import DataDirectory
from greffier.trust import roots
from greffier.trust.tpm import TpmRoot

SYSTEM = Path("/")
FORWARDER = "greffier-alarm"  # the user of that service


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at. *system* stands for the root of the file system (/proc, /sys, /dev)."""

    config: Config
    clock: Clock
    running: bool
    system: Path = SYSTEM

    def place(self, path: str) -> Path:
        """A path of the machine."""
        return self.system / path.lstrip("/")


def examine(subject: Subject) -> Iterator[Finding]:
    """Every check, in order. Never raises: a check that fails is a finding."""
    closed = False
    for name, check in CHECKS.items():
        if closed and name in _OF_DATA:
            continue
        try:
            yield from check(subject)
        except GreffierError as error:
            cause, _dash, step = str(error).partition(" — ")
            closed = closed or name == "data"
            yield Finding(name, "fail", cause, step)
        except OSError as error:
            reason = f"{error.filename or ''}: {error.strerror or type(error).__name__}"
            closed = closed or name == "data"
            yield Finding(name, "fail", reason.removeprefix(": "), "sudo greffier doctor")


def _core(subject: Subject) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        from greffier import _native  # noqa: PLC0415 - its absence is a finding
    except ImportError as error:
        cause = _("the native core cannot be loaded: {reason}").format(reason=error)
        yield Finding("core", "fail", cause, "./build.sh setup")
        return
    yield Finding("core", "ok", f"Python {version}, {Path(_native.__file__ or '').name}")


def _data(subject: Subject) -> Iterator[Finding]:
    if subject.config.data.is_dir():
        list(subject.config.data.iterdir())  # whoever may not read it is told that, not more
    directory = layout.open(subject.config.data)
    loose = [path for path in _private(directory) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        cause = _("others may read {path}").format(path=loose[0])
        yield Finding("data", "fail", cause, f"chmod -R go= {directory.path}")
    owners = {path.stat().st_uid for path in _private(directory)}
    if len(owners) > 1:
        cause = _("the files of {path} belong to several users").format(path=directory.path)
        mend = f"chown -R greffier-recorder: {directory.path}"
        yield Finding("data", "fail", cause, mend)
    if not loose and len(owners) == 1:
        yield Finding("data", "ok", f"{directory.path}, {directory.identity.device}")


def _private(directory: DataDirectory) -> list[Path]:
    folders = [directory.path, directory.path / "keys", directory.path / "vault", directory.shred]
    return [*folders, *(directory.path / "keys").iterdir()]


def _keys(subject: Subject) -> Iterator[Finding]:
    directory = layout.open(subject.config.data)
    office = keys.read_public(directory.office_public, Role.OFFICE)
    if directory.console_public.exists():
        keys.read_public(directory.console_public, Role.CONSOLE)
    log_key = trust.load_log_key(directory.log_key)
    if directory.log_public.read_text("ascii").strip() != log_key.public_line():
        cause = _("keys/log.pub does not belong to keys/log.key")
        yield Finding("keys", "fail", cause, f"greffier audit verify --data {directory.path}")
        return
    secret = directory.path / layout.DEVELOPMENT_KEY
    if secret.exists():
        cause = _("for trials only: {path} lies beside what it opens").format(path=secret)
        yield Finding("keys", "warn", cause, _("move it to head office, far from the device"))
        return
    yield Finding("keys", "ok", _("head office {key}").format(key=office.key_id.hex()))


def _deletion(subject: Subject) -> Iterator[Finding]:
    directory = layout.open(subject.config.data)
    root = roots.open_root(directory.shred, Disk())
    if isinstance(root, TpmRoot):
        told = _("class A: the key lies in the TPM, replaced {count} times").format(
            count=root.replacements()
        )
    else:
        told = _("class C: the key is a file, old copies may survive in the storage medium")
    yield Finding("deletion", "ok", told)


def _clock(subject: Subject) -> Iterator[Finding]:
    now = subject.clock.wall_ns()
    if now < max(BUILT_NS, subject.clock.lower_bound().t_ns):
        cause = _("it shows {time}, which cannot be").format(time=format_time(now))
        yield Finding("clock", "fail", cause, "timedatectl set-time 'YYYY-MM-DD HH:MM:SS'")
    elif not any(subject.place("sys/class/rtc").glob("rtc*")):
        cause = _("there is no clock that runs without power")
        yield Finding(
            "clock", "warn", cause, "dtoverlay=i2c-rtc,ds3231 in /boot/firmware/config.txt"
        )
    else:
        yield Finding("clock", "ok", format_time(now, digits=0))


def _policy(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    packs = law_packs.load(config.packs)
    for path in (config.policy_signature, config.policy_signers):
        if config.policy.exists() and not path.exists():
            cause = _("the policy is not signed: {path} is missing").format(path=path)
            yield Finding(
                "policy", "fail", cause, f"greffier-office sign {config.policy} --key NAME.key"
            )
            return
    policy = adoption.adopt(config.policy, config.policy_signature, config.policy_signers, packs)
    today = policy.local_day(subject.clock.wall_ns())
    findings = compiler.check(policy, packs, today)
    mend = f"greffier policy check {config.policy}"
    for severity, state in ((compiler.ERROR, "fail"), (compiler.WARNING, "warn")):
        labels = dict.fromkeys(one.label for one in findings if one.severity == severity)
        if labels:
            yield Finding("policy", state, ", ".join(labels), mend)  # type: ignore[arg-type]
    if not findings:
        yield Finding("policy", "ok", f"{policy.id} {policy.version}")
    yield from _lines(config, policy)
    yield from checks_actions.look(config, policy, packs)
    yield from checks_notice.look(config, policy)


def _lines(config: Config, policy: Policy) -> Iterator[Finding]:
    unknown = [line for line in config.lines if line not in policy.lines]
    unused = [line for line in policy.lines if line not in config.lines]
    if unknown:
        cause = _("the policy has no line {names}").format(names=", ".join(unknown))
        yield Finding("lines", "fail", cause, f"greffier policy check {config.policy}")
    if unused:
        cause = _("nothing is connected to the line {names}").format(names=", ".join(unused))
        yield Finding("lines", "warn", cause, f"sudoedit {config.path}")
    if not unknown and not unused:
        yield Finding("lines", "ok", ", ".join(config.lines))


def _taps(subject: Subject) -> Iterator[Finding]:
    if not subject.config.taps:
        return
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except PermissionError:
        cause = _("packets may not be captured (CAP_NET_RAW)")
        yield Finding("tap", "fail", cause, "systemctl start greffier-recorder")
        return
    for tap in subject.config.taps:
        interface = subject.place(f"sys/class/net/{tap.interface}")
        if not interface.exists():
            cause = _("there is no interface {name}").format(name=tap.interface)
            yield Finding("tap", "fail", cause, "ip link")
        elif (interface / "operstate").read_text("ascii").strip() == "down":
            cause = _("the interface {name} is down").format(name=tap.interface)
            yield Finding("tap", "fail", cause, f"ip link set {tap.interface} up")
        else:
            yield Finding("tap", "ok", tap.interface)


def _cards(subject: Subject) -> Iterator[Finding]:
    if not subject.config.analogue:
        return
    try:
        import alsaaudio  # noqa: F401, PLC0415 - its absence is a finding
    except ImportError:
        cause = _("the sound library is missing (pyalsaaudio)")
        yield Finding("card", "fail", cause, "./build.sh setup")
        return
    cards = subject.place("proc/asound")
    for pcm in dict.fromkeys(one.pcm for one in subject.config.analogue):
        name = _card_of(pcm)
        if name is not None and not (cards / name).exists():
            cause = _("there is no sound card {name}").format(name=name)
            yield Finding("card", "fail", cause, "arecord -l")
        else:
            yield Finding("card", "ok", pcm)
    for line in subject.config.analogue:
        source = line.detection.input
        if source is not None and not os.access(source, os.R_OK):
            cause = _("the off-hook input of {name} cannot be read").format(name=line.name)
            yield Finding("card", "fail", cause, f"ls -l {source}")


def _card_of(pcm: str) -> str | None:
    """The folder below /proc/asound of the card that *pcm* names; None for names of other kinds."""
    kind, _colon, rest = pcm.partition(":")
    if kind not in ("hw", "plughw") or not rest:
        return None
    card = rest.partition(",")[0].removeprefix("CARD=")
    return f"card{card}" if card.isdecimal() else card


def _limits(subject: Subject) -> Iterator[Finding]:
    if os.geteuid() == 0 or subject.running:
        yield Finding("limits", "ok", _("given by the service"))
        return
    mend = "systemctl start greffier-recorder"
    priority = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    locked = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if priority == 0:
        cause = _("capture would run without real-time priority (LimitRTPRIO)")
        yield Finding("limits", "warn", cause, mend)
    if locked != resource.RLIM_INFINITY:
        cause = _("memory could not be locked (LimitMEMLOCK)")
        yield Finding("limits", "warn", cause, mend)


def _swap(subject: Subject) -> Iterator[Finding]:
    try:
        lines = subject.place("proc/swaps").read_text("ascii").splitlines()
    except FileNotFoundError:
        return
    if len(lines) > 1:
        cause = _("memory may be written to disk: swap is on")
        yield Finding("swap", "warn", cause, "swapoff -a")
    else:
        yield Finding("swap", "ok", _("off"))


def _audit(subject: Subject) -> Iterator[Finding]:
    directory = layout.open(subject.config.data)
    report = verify.verify(directory.path, live=subject.running)
    if report.ok:
        told = _("{entries} entries").format(entries=report.entries)
        yield Finding("audit", "ok", told)
    else:
        codes = ", ".join(dict.fromkeys(one.code for one in report.problems))
        yield Finding("audit", "fail", codes, f"greffier audit verify --data {directory.path}")


def _outputs(subject: Subject) -> Iterator[Finding]:
    outputs = subject.config.outputs
    if not outputs:
        cause = _("nobody is told of alarms")
        yield Finding("outputs", "warn", cause, f"sudoedit {subject.config.path}")
        return
    sound = True
    for output in outputs:
        needed = output.secret or (Path(output.address) if output.kind == "led" else None)
        if needed is not None and not needed.exists():
            sound = False
            cause = _("{name}: {path} does not exist").format(name=output.name, path=needed)
            yield Finding("outputs", "fail", cause, f"ls -l {needed.parent}")
    forwarded = [one.name for one in outputs if not one.in_recorder]
    if forwarded and not _may_watch(subject.config.control):
        sound = False
        cause = _("{names}: the user {user}, who serves them, is not in [control] watch").format(
            names=", ".join(forwarded), user=FORWARDER
        )
        yield Finding("outputs", "fail", cause, f"sudoedit {subject.config.path}")
    if sound:
        yield Finding("outputs", "ok", ", ".join(one.name for one in outputs))


def _may_watch(control: Control) -> bool:
    """Whether the alarm forwarder may ask for alarms."""
    try:
        number = pwd.getpwnam(FORWARDER).pw_uid
    except KeyError:  # not on this machine: then only the name can stand for it
        number = -1
    return any(
        one in (FORWARDER, number) for one in (*control.watch, *control.operate, *control.stop)
    )


def _of_media(
    name: str, look: Callable[[Subject], checks_medium.Found]
) -> Callable[[Subject], Iterator[Finding]]:
    def check(subject: Subject) -> Iterator[Finding]:
        for state, cause, mend in look(subject):
            yield Finding(name, state, cause, mend)  # type: ignore[arg-type]

    return check


# What has nothing to look at where the data directory cannot be opened.
_OF_DATA = ("keys", "deletion", "space", "reserve", "mirror", "wear", "retention", "audit")
CHECKS: dict[str, Callable[[Subject], Iterator[Finding]]] = {
    "core": _core,
    "data": _data,
    "keys": _keys,
    "deletion": _deletion,
    "clock": _clock,
    "space": _of_media("space", lambda subject: checks_medium.space(subject.config)),
    "reserve": _of_media(
        "reserve", lambda one: checks_medium.kept_free(one.config, running=one.running)
    ),
    "mirror": _of_media("mirror", lambda subject: checks_medium.mirror(subject.config)),
    "wear": _of_media("wear", lambda one: checks_medium.wear(one.config, one.system)),
    "retention": _of_media(
        "retention",
        lambda one: checks_medium.retention(one.config, one.clock.lower_bound().t_ns),
    ),
    "policy": _policy,
    "tap": _taps,
    "card": _cards,
    "limits": _limits,
    "swap": _swap,
    "audit": _audit,
    "outputs": _outputs,
}
