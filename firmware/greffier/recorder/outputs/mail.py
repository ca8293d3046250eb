"""Alarms by e-mail: one message for all that happened since the last."""

import email.message
import email.utils
import smtplib
import ssl
from collections.abc import Sequence

from greffier.clock import local
from greffier.config.records import Output
from greffier.control.messages import Alarm, Notice
from greffier.language import translate_into
from greffier.recorder.alarm import SEVERITIES, sentence
from greffier.recorder.outputs.outbox import OutputFailed

PATIENCE_S = 20.0


class Mail:
    """*tls* replaces the system's certificate authorities, as a site with its own has to."""

    def __init__(self, output: Output, device: str, tls: ssl.SSLContext | None = None) -> None:
        self._output = output
        self._device = device
        self._tls = tls

    def send(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> None:
        """Raises OutputFailed."""
        if not notices:
            return
        output = self._output
        try:
            password = output.secret.read_text("utf-8").strip() if output.secret else ""
            with self._connected() as server:
                if output.user:
                    server.login(output.user, password)
                server.send_message(self._message(notices, standing))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise OutputFailed(type(error).__name__) from error

    def _connected(self) -> smtplib.SMTP:
        output = self._output
        if output.security == "tls":
            context = self._tls or ssl.create_default_context()
            return smtplib.SMTP_SSL(output.host, output.port, timeout=PATIENCE_S, context=context)
        server = smtplib.SMTP(output.host, output.port, timeout=PATIENCE_S)
        if output.security == "starttls":
            try:
                # A server that does not offer it, or somebody between, gets nothing in the clear.
                server.starttls(context=self._tls or ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _message(
        self, notices: Sequence[Notice], standing: Sequence[Alarm]
    ) -> email.message.EmailMessage:
        output = self._output

        def say(text: str) -> str:
            return translate_into(output.language, text)

        gravest = max(notices, key=lambda one: SEVERITIES.index(one.alarm.severity))
        message = email.message.EmailMessage()
        message["From"] = output.sender
        message["To"] = ", ".join(output.recipients)
        message["Date"] = email.utils.formatdate(notices[-1].at_ns / 1_000_000_000)
        message["Message-ID"] = email.utils.make_msgid(domain=f"{self._device}.greffier")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice comes back
        text = sentence(gravest.alarm, output.language)
        message["Subject"] = f"[Greffier {self._device}] {say(gravest.what)}: {text}"
        lines = [
            f"{local(one.at_ns):%Y-%m-%d %H:%M:%S} UTC  {say(one.what)}"
            f" ({say(one.alarm.severity)}): {sentence(one.alarm, output.language)}"
            for one in notices
        ]
        lines += ["", say("alarms that stand now:")]
        lines += [f"- {sentence(one, output.language)}" for one in standing] or [say("(nothing)")]
        message.set_content("\n".join(lines) + "\n")
        return message
