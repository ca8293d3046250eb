"""The notices of a site: which line names which prompt, and what is made of one that was heard.

Once a tick the loop looks at each call that listens (:mod:`greffier.recorder.notice_ear`). Heard:
the log says so, and the call is told that its notice was given, and when it ended. Not heard in the
bound: the call is told that it was not. Where a line names no prompt nobody listens, and that the
notice was given is assumed, which the decision record says.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from greffier.calls.events import CallStarted
from greffier.calls.fingerprint import LARGEST_FILE, SUFFIX, BadFingerprint, is_name, parse
from greffier.calls.notice import Template
from greffier.config.records import Config
from greffier.policy.facts import PENDING
from greffier.policy.site import Policy
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.notice_ear import WHOLE_NS, Prompt
from greffier.recorder.rules import Rules
from greffier.recorder.troubles import Troubles
from greffier.recorder.trunk import Source

SOURCE = "sound"
"""How a fact came that was heard."""


class BadNotice(ValueError):
    """A prompt that a line names cannot be listened for; the text says why, for a log of words."""


@dataclass(frozen=True, slots=True)
class Named:
    """A line and the prompt that it names."""

    line: str
    prompt: str
    path: Path


class Teller(Protocol):
    """Who takes facts about running calls."""

    def tell(self, call: Call, fact: str, value: str, at_ns: int, source: str) -> object:
        """Take one."""


def named(config: Config, policy: Policy) -> list[Named]:
    """The lines of *policy* on which somebody listens for a prompt.

    None of an emergency line: what is recorded there does not hang on a notice.
    """
    return [
        Named(name, line.prompt, config.notices / f"{line.prompt}{SUFFIX}")
        for name, line in sorted(policy.lines.items())
        if line.prompt and not line.never and not line.emergency
    ]


def assumed(policy: Policy) -> list[str]:
    """The lines on which a notice is due, and that it was given is assumed."""
    return [
        name
        for name, line in sorted(policy.lines.items())
        if not line.prompt and not line.never and not line.emergency
    ]


def load(one: Named) -> Prompt:
    """What is listened for on a line. Raises BadNotice."""
    if not is_name(one.prompt):
        raise BadNotice("its name cannot be a file's")
    try:
        with one.path.open("rb") as file:
            found = parse(file.read(LARGEST_FILE + 1))
        return Prompt(Template(found), found.digest)
    except OSError as error:
        raise BadNotice(error.strerror or "it cannot be read") from error
    except BadFingerprint as error:
        raise BadNotice(str(error)) from error


class Notices:
    """Owned by the recorder's thread."""

    def __init__(
        self,
        config: Config,
        archive: Archive,
        telling: Teller,
        troubles: Troubles,
        sources: Sequence[Source],
    ) -> None:
        self._config = config
        self._archive = archive
        self._telling = telling
        self._troubles = troubles
        self._sources = sources
        self._policy: Policy | None = None  # whose prompts are loaded
        self._prompts: dict[str, Prompt] = {}

    def know(self, policy: Policy) -> None:
        """Read the prompts that *policy* names: the first one, or one that was adopted since."""
        self._policy, before = policy, self._prompts
        loaded: dict[Path, Prompt] = {}
        self._prompts = {}
        for one in named(self._config, policy):
            if one.path not in loaded:
                try:
                    loaded[one.path] = load(one)
                except BadNotice:
                    loaded[one.path] = Prompt(None, "")
            self._prompts[one.line] = loaded[one.path]
        for line in {**before, **self._prompts}:
            prompt = self._prompts.get(line)
            missing = prompt is not None and prompt.template is None
            self._troubles.set(missing, "notice.unknown", line)

    def with_prompts(
        self, rules_of: Callable[[CallStarted], Rules]
    ) -> Callable[[CallStarted], Rules]:
        """*rules_of*, where each line has its prompt, or says that its notice is assumed."""
        return lambda call: self._with_prompt(rules_of(call))

    def _with_prompt(self, rules: Rules) -> Rules:
        if rules.policy is not self._policy:
            self.know(rules.policy)
        prompt = self._prompts.get(rules.line)
        if prompt is not None:
            return replace(rules, prompt=prompt)
        if "announce" in rules.given or "announce" in rules.pending:
            return rules
        return replace(rules, given={**rules.given, "announce": "assumed_ok"})

    def look(self, now_ns: int) -> None:
        """Tell each call what was heard, or that nothing was."""
        for call in self._listeners():
            ear = call.notice_ear
            if ear is None:
                continue
            if call.facts.announce != PENDING:
                call.notice_ear = None
            elif ear.noticed is not None:
                self._heard(call, ear.noticed.end_ns, ear.noticed.score)
            elif call.answer_ns is not None and now_ns - call.answer_ns > WHOLE_NS:
                call.notice_ear = None
                self._telling.tell(call, "announce", "fail", now_ns, SOURCE)

    def _listeners(self) -> Iterable[Call]:
        found = (call for source in self._sources for call in source.running)
        return [call for call in found if call.notice_ear is not None]

    def _heard(self, call: Call, end_ns: int, score: int) -> None:
        assert call.notice_ear is not None  # noqa: S101 - it has heard
        digest = call.notice_ear.prompt.digest
        call.notice_ear = None
        self._archive.log.append(
            "notice.heard",
            call.recording.hex() if call.recording else None,
            {
                "uid": call.uid,
                "line": call.rules.line,
                "at_ns": end_ns,
                "score": score,
                "notice": digest,
            },
        )
        self._telling.tell(call, "announce", "ok", end_ns, SOURCE)
