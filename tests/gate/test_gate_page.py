"""The desk's page: in French, readable by everybody, and in a real browser if one is installed."""

import json
import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.gate.gate_scene import a_call, gate, other

from greffier.gate import page
from greffier.gate.page import FILES
from greffier.language import translate_into

CHROMIUM = shutil.which("chromium")
CSS = page.file("/page.css").body.decode()


class Document(HTMLParser):
    """What of a page is looked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.found if tag == name]


@pytest.mark.parametrize(
    "made",
    [
        page.desk("fr", known=True),
        page.desk("en", known=True),
        page.desk("fr", known=False),
        page.enrol("fr", "gft-x"),
        page.enrol("fr", ""),
    ],
)
def test_a_page_has_what_a_reader_of_screens_needs(made: Any) -> None:
    text = made.body.decode()
    document = Document(text)
    (html,) = document.all("html")
    assert html["lang"] in ("fr", "en")
    assert len(document.all("h1")) == len(document.all("main")) == 1
    names = {attrs.get("id") for _, attrs in document.found}
    for _tag, attrs in document.found:
        for key in ("aria-describedby", "aria-labelledby"):
            assert attrs.get(key) is None or attrs[key] in names
        # Nothing inline, nothing from elsewhere: the policy of the page forbids both.
        assert not {"style", "onclick"} & set(attrs)
        for key in ("src", "href", "action"):
            assert attrs.get(key) is None or str(attrs[key]).startswith(("/", "data:,"))
    assert "default-src 'none'" in made.headers["Content-Security-Policy"]
    assert text.count("{") == text.count("}")


def test_every_word_of_the_page_has_its_french() -> None:
    document = page.desk("en", known=True).body.decode()
    for text in re.findall(r">([^<>{}\n]{3,})<", document):
        word = text.strip().replace("&#x27;", "'")
        if word and "Greffier" not in word:
            assert translate_into("fr", word) != word, word
    french = page.desk("fr", known=True).body.decode()
    assert "Appel privé" in french
    assert "Private call" not in french


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2, definition)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_its_ground_differ_enough() -> None:
    names = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", CSS))
    for ink, ground in (
        (names["ink"], names["paper"]),
        ("#ffffff", names["blue"]),
        ("#ffffff", names["red"]),
        ("#4d4d4d", "#e6e6e6"),
    ):
        assert contrast(ink, ground) >= 4.5  # WCAG 2.2 AA 1.4.3
    for edge in ("line", "blue", "red"):
        assert contrast(names[edge], names["paper"]) >= 3  # 1.4.11
    assert "focus-visible" in CSS  # 2.4.7
    assert int(re.findall(r"button \{[^}]*min-height: (\d)rem", CSS)[0]) * 18 >= 24  # 2.5.8


def test_the_script_and_the_style_are_ours() -> None:
    for path, kind in FILES.items():
        made = page.file(path)
        assert made.kind == kind
        assert b"http" not in made.body
        assert b"eval" not in made.body
        assert b"innerHTML" not in made.body


# --- a real browser, over its own protocol (Chrome DevTools Protocol) ---


class Browser:
    """Chromium without a window; one tab, spoken to over a WebSocket (RFC 6455)."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        self._process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0",
             f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port_file = folder / "DevToolsActivePort"
        rest = threading.Event()
        for _ in range(1200):
            if port_file.exists() and port_file.read_text().strip():
                break
            rest.wait(0.05)
        port = int(port_file.read_text().split()[0])
        with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            tab = next(one for one in json.load(answer) if one["type"] == "page")
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        path = "/" + tab["webSocketDebuggerUrl"].split("/", 3)[3]
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        while self._file.readline().strip():
            pass
        self._number = 0

    def close(self) -> None:
        self._file.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def call(self, method: str, **params: object) -> Any:
        self._number += 1
        body = json.dumps({"id": self._number, "method": method, "params": params}).encode()
        head = bytes([0x81]) + (
            bytes([0x80 | len(body)])
            if len(body) < 126
            else bytes([0xFE]) + struct.pack(">H", len(body))
        )
        self._socket.sendall(head + bytes(4) + body)  # a mask of zeros changes nothing
        while True:
            found = json.loads(self._frame())
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def _frame(self) -> bytes:
        data = b""
        while True:
            first, second = self._file.read(2)
            length = second & 0x7F
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self._file.read(size))
            data += self._file.read(length)
            if first & 0x80:
                return data

    def ask(self, script: str) -> Any:
        """The value of *script*."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until *script* is true, bounded."""
        rest = threading.Event()
        for _ in range(1200):
            if self.ask(script):
                return
            rest.wait(0.05)
        raise AssertionError(f"{script}: {self.ask('document.body.innerText')}")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path / "profile")
    try:
        yield made
    finally:
        made.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_a_desk_in_a_real_browser(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "gate-box").mkdir()
    with gate(tmp_path / "gate-box", port_in_url=True) as scene:
        code = scene.token("code", "101")
        home = f"http://127.0.0.1:{scene.port}"
        browser.call("Page.navigate", url=f"{home}/enrol?code={code}")
        browser.until("!!document.querySelector('form button')")
        browser.ask("document.querySelector('form button').click()")
        browser.until("location.pathname === '/' && !!document.getElementById('keys')")
        browser.until("document.getElementById('call').textContent === 'Aucun appel à ce poste'")
        assert browser.ask("document.cookie") == "", "no script may read the desk's token"
        private = "document.querySelector('[data-key=private]')"
        assert browser.ask(f"{private}.getAttribute('aria-disabled')") == "true"

        scene.recorder.calls = (a_call(),)
        browser.until(f"{private}.getAttribute('aria-disabled') === 'false'")
        # The keyboard alone: focus, then Enter.
        browser.ask(f"{private}.focus()")
        for kind in ("keyDown", "keyUp"):
            browser.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r",
                windowsVirtualKeyCode=13,
            )  # fmt: skip
        said = "document.getElementById('said').textContent"
        browser.until(f"{said} === 'Appel privé\u202f: pris en compte' || {said}.includes('pris')")
        (tell,) = scene.recorder.told
        assert (tell.fact, tell.value, tell.source, tell.call) == (
            "private", "true", "desk", a_call().call,
        )  # fmt: skip

        scene.recorder.calls = (other(a_call(), paused=True),)
        browser.until("document.getElementById('call').textContent.includes('En pause')")
        browser.ask("document.querySelector('[data-key=resume]').click()")
        browser.until("true")
        rest = threading.Event()
        for _ in range(1200):
            if len(scene.recorder.told) == 2:
                break
            rest.wait(0.05)
        assert (scene.recorder.told[1].fact, scene.recorder.told[1].value) == ("card", "false")
        assert browser.ask("document.documentElement.lang") == "fr"
