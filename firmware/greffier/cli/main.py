"""The command ``greffier``: chooses the language, finds the command, turns errors into one line."""

import gettext
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

from greffier import language
from greffier.errors import GreffierError, UsageError

# Each command's module is imported only when it is called, after the language is known.
COMMANDS = {
    "init": "greffier.cli.init",
    "run": "greffier.cli.run",
    "import-pcap": "greffier.cli.import_pcap",
    "calls": "greffier.cli.calls",
    "coverage": "greffier.cli.coverage",
    "export": "greffier.cli.export",
    "audit": "greffier.cli.audit",
    "index": "greffier.cli.index",
    "mirror": "greffier.cli.mirror",
    "operator": "greffier.cli.operator",
    "office-key": "greffier.cli.office_key",
    "decommission": "greffier.cli.decommission",
    "purge": "greffier.cli.purge",
    "certificate": "greffier.cli.certificate",
    "hold": "greffier.cli.hold",
    "erase": "greffier.cli.erase",
    "request": "greffier.cli.request",
    "role": "greffier.cli.role",
    "dossier": "greffier.cli.dossier",
    "policy": "greffier.cli.policy",
    "notice": "greffier.cli.notice",
    "status": "greffier.cli.status",
    "levels": "greffier.cli.levels",
    "alarms": "greffier.cli.alarms",
    "pause": "greffier.cli.pause",
    "resume": "greffier.cli.resume",
    "fact": "greffier.cli.fact",
    "replay": "greffier.cli.replay",
    "sync": "greffier.cli.sync",
    "doctor": "greffier.cli.doctor",
    "enrol": "greffier.cli.enrol",
    "gate": "greffier.cli.gate",
    "agents": "greffier.cli.agents",
}


# They hold keys that open recordings: what is in their memory stays there.
GUARDED = frozenset(
    {
        "run",
        "import-pcap",
        "operator",
        "office-key",
        "export",
        "calls",
        "hold",
        "purge",
        "request",
        "role",
        "decommission",
        "sign",
    }
)


def take_language(words: Sequence[str]) -> tuple[str, list[str]]:
    """Find ``--lang X`` anywhere in *words*; return the language and the other words.

    Raises UsageError.
    """
    rest: list[str] = []
    chosen = language.DEFAULT
    waiting = iter(words)
    for word in waiting:
        if word == "--lang":
            chosen = next(waiting, "")
        elif word.startswith("--lang="):
            chosen = word.removeprefix("--lang=")
        else:
            rest.append(word)
            continue
        if chosen not in language.LANGUAGES:
            raise UsageError(reason="--lang fr|en")
    return chosen, rest


def speak(chosen: str) -> None:
    """Use *chosen* for our messages and for click's own (which ask gettext's global domain)."""
    language.choose(chosen)
    os.environ["LANGUAGE"] = chosen
    gettext.bindtextdomain("greffier", str(language.LOCALE_DIR))
    gettext.textdomain("greffier")


def run(name: str, commands: dict[str, str], words: Sequence[str], version: str) -> int:
    """Run the command line *words* of the program *name*; return the exit code.

    *commands* maps each command to the module whose ``command`` or ``group`` it is.
    """
    try:
        chosen, rest = take_language(words)
        speak(chosen)
        import click  # noqa: PLC0415 - click reads its texts when it is imported

        class Lazy(click.Group):
            """A group that imports a command when it is asked for."""

            def list_commands(self, ctx: click.Context) -> list[str]:
                return list(commands)

            def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
                if cmd_name not in commands:
                    return None
                module = import_module(commands[cmd_name])
                found = getattr(module, "command", None) or module.group
                assert isinstance(found, click.Command)  # noqa: S101 - a slip of ours, not input
                return found

        program = Lazy(name=name, params=[click.Option(["--version"], is_flag=True)])
        program.callback = lambda version: None
        if "--version" in rest[:1]:
            click.echo(f"{name} {version}")
            return 0
        try:
            result = program.main(args=rest, prog_name=name, standalone_mode=False)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return UsageError.exit_code
        except click.UsageError as error:
            reason = " ".join(error.format_message().split()).rstrip(".")
            place = error.ctx.command_path if error.ctx else name
            raise UsageError(reason=f"{place}: {reason}") from None
        except click.ClickException as error:
            raise UsageError(reason=error.format_message()) from None
    except GreffierError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        print(language.translate("interrupted"), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone: not an error of ours, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        print(GreffierError(reason=language.translate("not enough memory")), file=sys.stderr)
        return GreffierError.exit_code
    except OSError as error:
        print(
            GreffierError(reason=f"{error.filename or ''}: {error.strerror or error}"),
            file=sys.stderr,
        )
        return GreffierError.exit_code
    except Exception as error:
        if os.environ.get("GREFFIER_TRACEBACK"):
            raise
        reason = language.translate("an error in the program, {kind}")
        print(GreffierError(reason=reason.format(kind=type(error).__name__)), file=sys.stderr)
        return GreffierError.exit_code
    return result if isinstance(result, int) else 0


def guard(words: Sequence[str], guarded: Collection[str]) -> None:
    """Where the command is one of *guarded*: no core file, no swap, or a warning.

    An import takes as much memory as its file is large, so that is not locked.
    """
    named = [word for word in words if not word.startswith("-")][:2]  # --lang X may come first
    if not guarded or not set(named) & set(guarded):
        return
    from greffier.recorder import memory  # noqa: PLC0415 - most commands need nothing of it

    memory.forbid_core_files()
    if "run" in named or "import-pcap" in named:
        return
    if not memory.lock_all() and memory.may_swap():
        warning = "warning: this user may not lock memory, and this machine swaps: run it as root"
        print(language.translate(warning), file=sys.stderr)


def main() -> None:
    """Entry point of the console script."""
    from greffier import __version__  # noqa: PLC0415 - only the entry point needs it

    guard(sys.argv[1:], GUARDED)
    sys.exit(run("greffier", COMMANDS, sys.argv[1:], __version__))
