"""Every error that a command may end with: its exit code, its cause, its next step.

The class docstring says when it is raised. ``cause`` and ``step`` are message identifiers
(see :mod:`greffier.language`) with named fields; no audio, key, digit or full number is ever put
into a field. Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 10 device not found, 11 busy,
12 credentials, 20 integrity check failed.
"""

from typing import ClassVar

from greffier.language import translate, visible


class GreffierError(Exception):
    """The root: something failed that no class below names."""

    exit_code: ClassVar[int] = 1
    cause: ClassVar[str] = "the command failed: {reason}"
    step: ClassVar[str] = "run it again, or see the documentation"

    def __init__(self, **fields: object) -> None:
        super().__init__(*fields.values())
        self.fields = fields

    def __str__(self) -> str:
        """One line: cause, then the next step; nothing in it that a terminal would obey."""
        line = f"{translate(self.cause)} — {translate(self.step)}".format_map(_Fields(self.fields))
        return visible(" ".join(line.split()))


class _Fields(dict[str, object]):
    """Named fields of a message; one that is missing shows as a dash, never as a crash."""

    def __missing__(self, key: str) -> str:
        return "-"


class UsageError(GreffierError):
    """The words of the command are wrong."""

    exit_code = 2
    cause = "{reason}"
    step = "see --help"


class BadPolicy(GreffierError):
    """A policy file cannot be read, or has missing or wrong keys."""

    exit_code = 2
    cause = "the policy {path} cannot be used: {reason}"
    step = "correct the file and run `greffier policy check`"


class BadConfig(GreffierError):
    """The recorder's configuration cannot be read, or has missing or wrong keys."""

    exit_code = 2
    cause = "the configuration {path} cannot be used: {reason}"
    step = "correct the file; docs/config.md lists every key"


class BadPacks(GreffierError):
    """A file of law packs cannot be read, or has missing or wrong keys."""

    exit_code = 2
    cause = "the law packs {path} cannot be used: {reason}"
    step = "correct the file, or leave --packs out to use the packs that are built in"


class BadCases(GreffierError):
    """A file of policy cases cannot be read."""

    exit_code = 2
    cause = "the cases {path} cannot be used: {reason}"
    step = "correct the file"


class BadPrompt(GreffierError):
    """A recording cannot be learnt as a prompt, or what was learnt of one cannot be read."""

    exit_code = 2
    cause = "the prompt {path} cannot be used: {reason}"
    step = (
        "give a clean recording of the whole notice, as the caller hears it (docs/notice-format.md)"
    )


class BadCapture(GreffierError):
    """A capture file cannot be read at all (damage inside one is counted, not raised)."""

    cause = "the capture {path} cannot be read: {reason}"
    step = "give a pcap or pcapng file"


class StorageFailed(GreffierError):
    """A write or a sync failed; what was committed before stays."""

    cause = "writing {path} failed: {reason}"
    step = "check the disk and its free space, then run the command again"


class TpmFailed(StorageFailed):
    """The TPM that holds the effaceable key is absent or does not do what is asked of it."""

    exit_code = 10
    cause = "the TPM cannot be used: {reason}"
    step = "check that it is fitted and that this user may open /dev/tpmrm0, then start again"


class TpmBusy(TpmFailed):
    """The TPM is used by another program, or does not answer in time."""

    exit_code = 11
    cause = "the TPM is busy: {reason}"
    step = "close what else uses it, or wait, then run the command again"


class NoMedium(GreffierError):
    """There is no second medium in a folder (*reason* "away"), or another device's ("foreign")."""

    exit_code = 10
    cause = "there is no mirror of this device in {path} ({reason})"
    step = "mount the medium, or run `greffier mirror prepare` on a new one"


class BadDatabase(GreffierError):
    """A database of head office is damaged, foreign, or made by a newer version."""

    cause = "the database {path} cannot be used: {reason}"
    step = "install the version that made it, or restore a backup; nothing was changed"


class NotAnOffice(GreffierError):
    """The folder given as --office is not a head office's directory."""

    cause = "{path} is not a head office directory: {reason}"
    step = "make one with `greffier-office init --office DIR`"


class NotFound(GreffierError):
    """A recording, part or line of that name does not exist."""

    cause = "{what} does not exist"
    step = "list what there is with `greffier calls --data DIR`"


class NotADataDirectory(GreffierError):
    """The folder given as --data is not a data directory."""

    cause = "{path} is not a data directory"
    step = "make one with `greffier init --data DIR --office-key office.pub`"


class Decommissioned(GreffierError):
    """The folder given as --data is that of a box whose end was begun."""

    cause = "{path} is that of a box that was decommissioned"
    step = "finish with `greffier decommission`; a new box begins in another folder"


class NotReady(GreffierError):
    """A box is not to be destroyed as it is."""

    cause = "this box is not decommissioned: {reason}"
    step = "see `greffier decommission --dry-run`; nothing was changed"


class AlreadyThere(GreffierError):
    """A command would overwrite something that must not be overwritten."""

    cause = "{path} exists already"
    step = "choose another name; nothing was changed"


class NotDecodable(GreffierError):
    """Audio of a codec that this machine cannot turn into sound."""

    cause = "codec {codec} cannot be decoded here"
    step = "install the native core (./build.sh setup) or take the original packets"


class PartlyDone(GreffierError):
    """Some of what was asked is done, some is not."""

    exit_code = 3
    cause = "partly done: {reason}"
    step = "see the list, mend the cause and run the command again"


class DeviceNotFound(GreffierError):
    """A device that is needed is absent, or does not do what is asked of it."""

    exit_code = 10
    cause = "the device {device} cannot be used: {reason}"
    step = "check its cable and its name, then start again"


class Busy(GreffierError):
    """Another process holds the data directory."""

    exit_code = 11
    cause = "the data directory {path} is in use"
    step = "stop the other command, or wait for it"


class NotRunning(GreffierError):
    """Nobody listens on the control socket."""

    cause = "no recorder answers at {path}"
    step = "start it with `systemctl start greffier-recorder` or `greffier run --config FILE`"


class TransferNotRunning(NotRunning):
    """Nobody listens on the socket of the transfer to head office."""

    cause = "no transfer to head office answers at {path}"
    step = "start it with `systemctl start greffier-sync` or `greffier sync run --config FILE`"


class NoAnswer(GreffierError):
    """The recorder listens but does not answer in time."""

    cause = "the recorder at {path} did not answer within {seconds} s"
    step = "see `journalctl -u greffier-recorder`, then ask again"


class NotAllowed(GreffierError):
    """The recorder refuses this request of this user."""

    exit_code = 12
    cause = "the recorder does not allow you to {what}"
    step = "run the command as a user that [control] names, or as root"


class Refused(GreffierError):
    """The recorder understood a request and does not do it.

    The fields ``code`` and ``word`` are those of its answer (docs/control-protocol.md).
    """

    cause = "the recorder refused: {reason}"
    step = "see `greffier status`"


class BadKeyFile(GreffierError):
    """A key file cannot be read or is not of the kind that is needed."""

    exit_code = 12
    cause = "the key file {path} cannot be used: {reason}"
    step = "give the file that `greffier-office keygen` made"


class BadSync(GreffierError):
    """The sync folder holds no enrolment, or certificates that nobody would take."""

    exit_code = 12
    cause = "the sync folder {path} cannot be used: {reason}"
    step = "enrol this device again with `greffier enrol request`; recording goes on"


class BadAgents(GreffierError):
    """A CSV file of agents cannot be taken over; each wrong line was said before."""

    exit_code = 2
    cause = "{path}: {count} lines are wrong, {reason}"
    step = "mend them and import it again; `--dry-run` only checks"


class BadGate(GreffierError):
    """A file of the gate cannot be used: its tokens, or its certificate."""

    exit_code = 12
    cause = "{path} cannot be used by the gate: {reason}"
    step = "mend or replace it; recording goes on"


class BadEnrolment(GreffierError):
    """The file of an enrolment is refused (docs/enrolment-format.md section 5)."""

    exit_code = 12
    cause = "{path} is refused: {reason} (reason {number})"
    step = "nothing was changed; make a new request, with a new claim code if this one is spent"


class NoSuchOperator(GreffierError):
    """A name is that of no operator of this box."""

    exit_code = 12
    cause = "{operator} is no operator of this box"
    step = "see `greffier operator list --data DIR`"


class AccessDenied(GreffierError):
    """The rules of access do not let this person hear this for this purpose."""

    exit_code = 12
    cause = "access is denied ({code}): {reason}"
    step = "see docs/access.md; the log says that it was asked for"


class WrongSecret(GreffierError):
    """A passphrase or key file does not open an operator's keys."""

    exit_code = 12
    cause = "this is not the passphrase or key file of operator {operator}"
    step = "try again, slowly; where a TPM counts the attempts, only a few are left"


class LockedOut(GreffierError):
    """The TPM takes no passphrase of any operator now."""

    exit_code = 12
    cause = "too many wrong passphrases: the TPM takes none now"
    step = "wait two hours for each further attempt; head office can still open everything"


class NotTwoPersons(GreffierError):
    """Something needs two different operators, and they have not both proved themselves."""

    exit_code = 12
    cause = "two different operators of this box must agree: {reason}"
    step = "give two names with --operator, and the secret of each"


class KeyDoesNotOpen(GreffierError):
    """This key opens nothing of that part (another key, or the part was shredded)."""

    exit_code = 12
    cause = "this key does not open {what}"
    step = "use the key it was sealed to; a shredded part opens with none"


class IntegrityError(GreffierError):
    """Something stored is not what was written."""

    exit_code = 20
    cause = "{what} is altered or damaged: {reason}"
    step = "nothing was written; keep the file as it is and run `greffier audit verify`"


class TpmLost(IntegrityError):
    """The TPM works but does not hold the key of this data directory: what it opens stays shut."""

    cause = "the TPM does not hold the key of this recorder: {reason}"
    step = "put back the TPM it was made with; nothing was changed, and no new store is begun"
