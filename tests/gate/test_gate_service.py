"""The gate over real sockets: who may tell what of which call, and what is answered."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.gate.gate_scene import Scene, a_call, gate, other

from greffier.clock import SystemClock
from greffier.control.facts import FactTaken
from greffier.control.messages import Failure

HERE = Path(__file__).parents[1] / "vectors" / "gate"
VECTORS: dict[str, Any] = json.loads((HERE / "facts.json").read_text("ascii"))
ID = "00112233445566778899aabbccddeeff"
PRIVATE = {"id": ID, "fact": "private", "value": True}
ORIGIN = {"Origin": "http://desk.example"}


def test_an_agent_tells_of_the_one_call_at_the_desk_and_hears_nothing_of_its_verdict(
    tmp_path: Path,
) -> None:
    with gate(tmp_path) as scene:
        scene.recorder.calls = (a_call(), a_call(2, "102", "agent-13"))
        token = scene.token()
        assert scene.ask("POST", "/v1/facts", PRIVATE, token)[:2] == (
            201, {"id": ID, "state": "taken"},
        )  # fmt: skip
        (tell,) = scene.recorder.told
        assert (tell.call, tell.source, tell.actor) == (a_call().call, "desk", "agent-12")
        # The same again, when another call runs: the same call is meant.
        scene.recorder.calls = (a_call(3),)
        assert scene.ask("POST", "/v1/facts", PRIVATE, token)[:2] == (
            200, {"id": ID, "state": "known"},
        )  # fmt: skip
        assert {one.call for one in scene.recorder.told} == {a_call().call}
        # The same id for something else.
        changed = {**PRIVATE, "fact": "threat"}
        assert scene.ask("POST", "/v1/facts", changed, token)[:2] == (
            409, {"error": "other_content"},
        )  # fmt: skip


def test_nobody_tells_of_the_call_of_somebody_else(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        scene.recorder.calls = (a_call(), a_call(2, "102", "agent-13"))
        token = scene.token()
        for number in (2, 77):  # one that runs, one that nobody knows: the same answer
            told = {**PRIVATE, "call": a_call(number).call}
            assert scene.ask("POST", "/v1/facts", told, token)[:2] == (403, {"error": "not_yours"})
        for place in ({"line": "accueil"}, {"recording": ID}):
            status, body, _ = scene.ask("POST", "/v1/facts", {**PRIVATE, **place}, token)
            assert (status, body) == (403, {"error": "not_allowed"})
        acceptance = {"id": ID, "fact": "consent", "value": "in"}
        assert scene.ask("POST", "/v1/facts", acceptance, token)[0] == 403
        assert not scene.recorder.told


def test_a_late_fact_of_a_call_that_was_seen_goes_through(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        token = scene.token()
        scene.recorder.calls = (a_call(),)
        assert scene.ask("GET", "/v1/desk", token=token)[1]["calls"][0]["call"] == a_call().call
        scene.recorder.calls = ()
        scene.recorder.answers["proof"] = FactTaken("late")
        told = {"id": ID, "fact": "proof", "value": True, "call": a_call().call}
        assert scene.ask("POST", "/v1/facts", told, token)[:2] == (202, {"id": ID, "state": "late"})
        assert scene.ask("POST", "/v1/facts", {**PRIVATE, "id": "1" * 32}, token)[0] == 404


def test_with_two_calls_the_desk_has_to_say_which(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        scene.recorder.calls = (a_call(), a_call(2))
        token = scene.token()
        assert scene.ask("POST", "/v1/facts", PRIVATE, token)[:2] == (
            409, {"error": "several_calls"},
        )  # fmt: skip
        told = {**PRIVATE, "call": a_call(2).call}
        assert scene.ask("POST", "/v1/facts", told, token)[0] == 201


def test_a_system_tells_what_it_was_allowed_and_names_the_place(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        token = scene.token("system", "crm", "contract", "mifid", "mifid=no")
        told = {"id": ID, "fact": "contract", "value": "signed", "recording": "f" * 32}
        assert scene.ask("POST", "/v1/facts", told, token)[0] == 201
        assert scene.recorder.told[0].source == "api"
        assert (
            scene.ask("POST", "/v1/facts", {**told, "fact": "private", "value": True}, token)[0]
            == 403
        )
        del told["recording"]
        assert scene.ask("POST", "/v1/facts", told, token)[:2] == (400, {"error": "bad_request"})
        assert scene.ask("GET", "/v1/desk", token=token)[0] == 403
        assert scene.ask("GET", "/v1/lines/accueil", token=token)[1] == {
            "line": "accueil", "may_be_recorded": True,
        }  # fmt: skip
        assert scene.ask("GET", "/v1/lines/cse", token=token)[1]["may_be_recorded"] is False
        assert scene.ask("GET", "/v1/lines/nowhere", token=token)[0] == 404


def test_what_the_recorder_answers_is_a_status(tmp_path: Path) -> None:
    said = {
        "private": (FactTaken("refused", "pause_disabled_emergency"), 409, "refused"),
        "proof": (FactTaken("refused", "no_such_call"), 404, "no_such_call"),
        "threat": (FactTaken("refused", "several_calls"), 409, "several_calls"),
        "card": (Failure("busy", "stopping"), 503, "busy"),
    }
    with gate(tmp_path) as scene:
        scene.recorder.calls = (a_call(),)
        token = scene.token()
        for number, (fact, (answer, status, error)) in enumerate(said.items()):
            scene.recorder.answers[fact] = answer
            told = {"id": f"{number:032x}", "fact": fact, "value": True}
            got, body, headers = scene.ask("POST", "/v1/facts", told, token)
            assert (got, body) == (status, {"error": error})
            assert (headers["Retry-After"] is not None) == (status == 503)


def test_without_a_good_token_there_is_nothing(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        good = scene.token()
        code = scene.token("code", "101")
        cookie = scene.enrolled().partition("=")[2]
        changed = good[:30] + ("B" if good[30] == "A" else "A") + good[31:]
        for bad in ("", "x", good[:-1], changed, code, cookie):
            assert scene.ask("POST", "/v1/facts", PRIVATE, bad)[:2] == (401, {"error": "no_token"})
        wrong_word = {"Authorization": f"Basic {good}"}
        assert scene.ask("GET", "/v1/desk", headers=wrong_word)[0] == 401
        assert scene.ask("GET", "/v1/desk", headers={"Cookie": f"greffier_desk={good}"})[0] == 401
        scene.registry.revoke(good.split("-")[1], SystemClock().wall_ns())
        assert scene.ask("POST", "/v1/facts", PRIVATE, good)[0] == 401
        assert not scene.recorder.told


def test_who_guesses_is_soon_not_heard(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        good = scene.token()
        found = [scene.ask("GET", "/v1/desk", token="x")[0] for _ in range(12)]
        assert found[:10] == [401] * 10
        assert found[-1] == 429
        status, _, headers = scene.ask("GET", "/v1/desk", token=good)
        assert status == 429
        assert int(headers["Retry-After"]) >= 1


def test_a_token_that_tells_too_much_waits(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        scene.recorder.calls = (a_call(),)
        token, wrong = scene.token(), b"{"
        kind = {"Content-Type": "application/json"}
        found: list[int] = []
        for _ in range(200):  # it is refilled while we ask: in the end it is empty
            found.append(scene.ask("POST", "/v1/facts", wrong, token, kind)[0])
            if found[-1] == 429:
                break
        assert set(found[:20]) == {400}
        assert found[-1] == 429


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_what_is_documented_is_done(method: str, tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        token = scene.token()
        assert scene.ask(method, "/v1/facts", token=token)[0] == 405
        assert scene.ask(method, "/v1/fact", token=token)[0] == 404
        assert scene.ask(method, "/../etc/passwd", token=token)[0] == 404


def test_bodies_that_are_none_are_refused_and_the_connection_lives(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        token = scene.token()
        kind = {"Content-Type": "application/json"}
        for content, headers, status in (
            (b"{}", {"Content-Type": "text/plain"}, 415),
            (b"{}", {}, 415),
            (b"{}", kind, 400),
            (b" " * 4097, kind, 413),
        ):
            assert scene.ask("POST", "/v1/facts", content, token, headers)[0] == status


@pytest.mark.parametrize("name", VECTORS["bad_heads"])
def test_octets_that_are_no_request_are_refused_and_the_next_one_is_served(
    name: str, served: Scene
) -> None:
    head = VECTORS["bad_heads"][name].encode("latin-1")
    with socket.create_connection(("127.0.0.1", served.port), 30) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while data := connection.recv(4096):
            got += data
    assert got == b"" or 400 <= int(got.split()[1]) < 500
    assert served.ask("GET", "/v1/desk")[0] in (401, 429)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with gate(tmp_path_factory.mktemp("gate")) as scene:
        yield scene


def test_one_address_holds_few_connections_and_the_others_are_closed(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        many = [socket.create_connection(("127.0.0.1", scene.port), 30) for _ in range(40)]
        try:
            for one in many:
                one.settimeout(30)
            closed = 0
            for one in many[16:]:
                try:
                    closed += one.recv(1) == b""
                except ConnectionResetError:
                    closed += 1
            assert closed == 24
        finally:
            for one in many:
                one.close()


# --- the desk ---


def test_a_link_enrols_one_browser_once(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        code = scene.token("code", "101")
        status, text, headers = scene.ask("GET", f"/enrol?code={code}")
        assert status == 200
        assert code in text
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        form = f"code={code}".encode()
        assert scene.ask("POST", "/enrol", form)[0] == 403
        elsewhere = {"Origin": "http://evil.example"}
        assert scene.ask("POST", "/enrol", form, headers=elsewhere)[0] == 403
        status, _, headers = scene.ask("POST", "/enrol", form, headers=ORIGIN)
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert scene.ask("POST", "/enrol", form, headers=ORIGIN)[0] == 403
        again = {"Cookie": cookie.partition(";")[0]}
        assert scene.ask("GET", "/", headers=again)[0] == 200
        assert scene.ask("GET", "/")[0] == 401
        # Revoking the link's token revokes the desk.
        scene.registry.revoke(code.split("-")[1], SystemClock().wall_ns())
        assert scene.ask("GET", "/", headers=again)[0] == 401


def test_a_desk_tells_of_its_calls_from_its_own_page_alone(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        scene.recorder.calls = (other(a_call(), agent=""), a_call(2, "102"))
        cookie = {"Cookie": scene.enrolled()}
        assert scene.ask("POST", "/v1/facts", PRIVATE, headers=cookie)[:2] == (
            403, {"error": "wrong_origin"},
        )  # fmt: skip
        assert scene.ask("POST", "/v1/facts", PRIVATE, headers={**cookie, **ORIGIN})[0] == 201
        assert [one.call for one in scene.recorder.told] == [a_call().call]
        assert [
            one["call"] for one in scene.ask("GET", "/v1/desk", headers=cookie)[1]["calls"]
        ] == [a_call().call]


def test_enrolling_at_the_same_time_gives_one_desk(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        form = f"code={scene.token('code', '101')}".encode()
        found: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: found.append(scene.ask("POST", "/enrol", form, headers=ORIGIN)[0])
            )
            for _ in range(8)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
        assert sorted(found) == [303] + [403] * 7
