"""Outputs carry out what is ordered, in their order, and say what became of it."""

import asyncio
import hashlib
import hmac
import json
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.gate.gate_scene import RUN, a_call, a_config, gate

from greffier.clock import SECOND, SystemClock
from greffier.control.desks import AskCalls, Calls, Instruction
from greffier.control.facts import FactTaken, Tell
from greffier.control.messages import Answer, Request
from greffier.gate import actors, contacts
from greffier.gate.actors import ActorFailed, Relay, Webhook, actor_of
from greffier.gate.contacts import ContactFailed, FileInput, FileSwitch, GpioInput, GpioSwitch
from greffier.gate.keys import Keys
from greffier.gate.link import Link

WAIT_S = 60
OUTPUTS = """
[outputs.gong]
kind = "relay"
path = "gong"
actions = ["end_call"]
deadline_s = 30
[outputs.hook]
kind = "webhook"
url = "http://127.0.0.1:1/"
secret_file = "secret"
actions = ["end_call"]
deadline_s = 30
"""


def an_instruction(*outputs: str, key: str = "1" * 32) -> Instruction:
    now = SystemClock().wall_ns()
    return Instruction(
        key, "end_call", "accueil", a_call().call, "101", outputs, now, now + 60 * SECOND
    )


class Noted:
    """An actor that fails, or not, and notes what it was told."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails
        self.told: list[str] = []
        self.acted = threading.Event()

    def act(self, instruction: Instruction) -> None:
        self.told.append(instruction.id)
        self.acted.set()
        if self.fails:
            raise ActorFailed("no")


def until(what: threading.Event | None, look: object = None) -> None:
    """Wait until *look* says yes, bounded."""
    rest = threading.Event()
    for _ in range(WAIT_S * 50):
        if (what is not None and what.is_set()) or (callable(look) and look()):
            return
        rest.wait(0.02)
    raise AssertionError("it never came")


def test_outputs_are_tried_in_their_order_until_one_has_done_it(tmp_path: Path) -> None:
    gong, hook = Noted(fails=True), Noted(fails=False)
    with gate(tmp_path, OUTPUTS, {"gong": gong, "hook": hook}) as scene:
        scene.recorder.instructions = (an_instruction("gong", "hook", "page"),)
        until(None, lambda: scene.recorder.acted)
        assert [(one.outcome, one.output) for one in scene.recorder.acted] == [("done", "hook")]
        assert (len(gong.told), len(hook.told)) == (1, 1)


def test_what_no_output_can_do_has_failed(tmp_path: Path) -> None:
    gong = Noted(fails=True)
    with gate(tmp_path, OUTPUTS, {"gong": gong, "hook": gong}) as scene:
        scene.recorder.instructions = (an_instruction("gong"), an_instruction(key="2" * 32))
        until(None, lambda: len(scene.recorder.acted) == 2)
        assert {(one.instruction[0], one.outcome) for one in scene.recorder.acted} == {
            ("1", "failed"),
            ("2", "no_output"),
        }


def test_people_at_the_desk_say_what_became_of_it(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        headers = {"Cookie": scene.enrolled(), "Origin": "http://desk.example"}
        other = {"Cookie": scene.enrolled("102"), "Origin": "http://desk.example"}
        scene.recorder.instructions = (an_instruction("page"),)
        until(None, lambda: scene.ask("GET", "/v1/desk", headers=headers)[1]["orders"])
        (order,) = scene.ask("GET", "/v1/desk", headers=headers)[1]["orders"]
        assert (order["action"], order["id"]) == ("end_call", "1" * 32)
        assert scene.ask("GET", "/v1/desk", headers=other)[1]["orders"] == []
        place, done = f"/v1/orders/{order['id']}", {"outcome": "done"}
        assert scene.ask("POST", place, done, headers=other)[0] == 404
        assert scene.ask("POST", place, {"outcome": "maybe"}, headers=headers)[0] == 400
        assert scene.ask("POST", place, done, scene.token())[0] == 403
        assert scene.ask("POST", place, done, headers=headers)[0] == 200
        until(None, lambda: scene.recorder.acted)
        assert scene.recorder.acted[0].outcome == "done"
        assert scene.ask("POST", place, done, headers=headers)[0] == 404


# --- the outputs themselves ---


def test_a_relay_is_closed_for_its_pulse_and_open_whatever_happens(tmp_path: Path) -> None:
    device = tmp_path / "gong"
    device.write_text("0")
    seen: list[str] = []

    def rest(seconds: float) -> None:
        seen.append(f"{device.read_text()} {seconds}")
        raise ContactFailed("interrupted")

    with pytest.raises(ActorFailed):
        Relay(FileSwitch(device, "1", "0"), 300, rest).act(an_instruction())
    assert seen == ["1 0.3"]
    assert device.read_text()[0] == "0"
    with pytest.raises(ActorFailed):
        Relay(FileSwitch(tmp_path / "no" / "gong", "1", "0"), 10).act(an_instruction())


class Chip:
    """A character device as far as its calls go: one line, whose level is ``value``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")
        self.flags: list[int] = []
        self.values: list[int] = []
        self.value = 0

    def ioctl(self, fd: int, call: int, data: bytearray) -> int:
        size = call >> 16 & 0x3FFF
        assert len(data) == size
        assert call >> 8 & 0xFF == 0xB4
        if call & 0xFF == 0x07:
            assert struct.unpack_from("=I", data)[0] == 17
            assert struct.unpack_from("=I", data, 560)[0] == 1
            self.flags.append(struct.unpack_from("=Q", data, 288)[0])
            struct.pack_into("=i", data, 588, os.open(self.path, os.O_RDONLY))
        elif call & 0xFF == 0x0F:
            self.values.append(struct.unpack_from("=Q", data)[0])
        else:
            struct.pack_into("=Q", data, 0, self.value)
        return 0


def test_a_gpio_line_is_switched_and_read_by_the_calls_of_the_kernel(tmp_path: Path) -> None:
    chip = Chip(tmp_path / "gpiochip0")
    relay = GpioSwitch(chip.path, 17, high=False, ioctl=chip.ioctl)
    relay.set(True)
    relay.set(False)
    assert chip.values == [0, 1]
    assert chip.flags == [1 << 3]
    key = GpioInput(chip.path, 17, high=False, ioctl=chip.ioctl)
    assert key.read()
    chip.value = 1
    assert not key.read()
    assert chip.flags == [1 << 3, 1 << 2]
    key._line.close()


def test_a_device_that_is_none_is_a_contact_that_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(ContactFailed):
            GpioInput(path, 17, high=True).read()
    with pytest.raises(ContactFailed):
        FileInput(tmp_path / "nothing", "1").read()


def test_a_webhook_is_signed_and_only_2xx_is_done(tmp_path: Path) -> None:
    got: list[tuple[bytes, str]] = []
    answers = [204, 302, 500]

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, self.headers["Greffier-Signature"]))
            self.send_response(answers[len(got) - 1])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        (tmp_path / "secret").write_bytes(b"known to both\n")
        more = OUTPUTS.replace("127.0.0.1:1", f"127.0.0.1:{server.server_port}")
        output = next(one for one in a_config(tmp_path, more).outputs if one.name == "hook")
        hook = Webhook(output, "box")
        hook.act(an_instruction("hook"))
        for _ in range(2):
            with pytest.raises(ActorFailed):
                hook.act(an_instruction("hook"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    body, signature = got[0]
    assert signature == "sha256=" + hmac.new(b"known to both", body, hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert told["instruction"]["id"] == "1" * 32
    assert "outputs" not in told["instruction"]


def test_each_kind_of_output_has_its_actor(tmp_path: Path) -> None:
    config = a_config(tmp_path, OUTPUTS)
    made = {one.name: type(actor_of(one, "box")) for one in config.outputs}
    assert made == {"page": type(None), "gong": Relay, "hook": Webhook}
    gpio = OUTPUTS.replace('path = "gong"', 'path = "gong"\ngpio = 4\non = "0"')
    gong = next(one for one in a_config(tmp_path, gpio).outputs if one.name == "gong")
    assert isinstance(actors.switch_of(gong), contacts.GpioSwitch)


# --- keys ---


def test_a_key_tells_once_when_it_is_pressed(tmp_path: Path) -> None:
    device = tmp_path / "key"
    device.write_text("1\n")  # stuck while we begin: that tells nothing
    told: list[Tell] = []

    def ask(request: Request) -> Answer:
        if isinstance(request, AskCalls):
            return Calls((a_call(),) if request.extensions == ("101",) else (), ())
        assert isinstance(request, Tell)
        told.append(request)
        return FactTaken("taken")

    more = f'[gate.keys.red]\nextension = "101"\nfact = "private"\ninput = "{device}"\n'
    link = Link(ask)
    keys = Keys(a_config(tmp_path, more).gate.keys, link, SystemClock())

    async def look(*levels: str) -> None:
        for level in levels:
            device.write_text(level)
            await keys.look()

    async def press() -> None:
        await look("1", "1", "0", "1", "0", "0")  # a bounce of one look is none
        assert told == []
        await look("1", "1", "1", "0", "0", "1", "1")
        device.unlink()
        await keys.look()

    asyncio.run(press())
    link.close()
    assert [(one.fact, one.value, one.source, one.actor) for one in told] == [
        ("private", "true", "gpio", "red")
    ] * 2
    assert len({one.id for one in told}) == 2
    assert RUN not in {one.id for one in told}
