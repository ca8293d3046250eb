"""The doctor's look at notices: each prompt that a line names can be listened for."""

from collections.abc import Iterator

from greffier.config.records import Config
from greffier.language import translate as _
from greffier.policy.site import Policy
from greffier.recorder.finding import Finding
from greffier.recorder.notices import BadNotice, assumed, load, named


def look(config: Config, policy: Policy) -> Iterator[Finding]:
    """One finding a line that names a prompt, and one for the lines on which nobody listens."""
    for one in named(config, policy):
        try:
            load(one)
        except BadNotice as error:
            cause = _("line {line}: the prompt {path} cannot be used: {reason}").format(
                line=one.line, path=one.path, reason=error
            )
            mend = f"greffier notice learn PROMPT.wav --output {one.path}"
            yield Finding("notice", "fail", cause, mend)
            continue
        yield Finding("notice", "ok", _("{line}: listened for").format(line=one.line))
    lines = ", ".join(assumed(policy))
    if lines:
        yield Finding("notice", "ok", _("assumed, no prompt is named: {lines}").format(lines=lines))
