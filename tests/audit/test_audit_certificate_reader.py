"""The reader of tools/independent_certificate.py, by docs/ alone, agrees with the product."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "audit" / "certificates.json").read_text())
BOXES, OFFICES = VECTORS["boxes"], VECTORS["offices"]
KEYS = [BOXES["key"], BOXES["witness"], OFFICES["key"], OFFICES["receipt"]]


def reader() -> ModuleType:
    path = ROOT / "tools" / "independent_certificate.py"
    spec = importlib.util.spec_from_file_location("independent_certificate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READER = reader()


@pytest.mark.parametrize("name", BOXES["valid"])
def test_a_box_s_certificate_holds(name: str) -> None:
    case = BOXES["valid"][name]
    said = READER.of_box(case["file"], KEYS)
    assert (said["part"], said["witnessed_s"]) == ("aa" * 16, case["witnessed_s"])


@pytest.mark.parametrize("name", BOXES["invalid"])
def test_a_box_s_certificate_is_refused_by_the_same_code(name: str) -> None:
    case = BOXES["invalid"][name]
    with pytest.raises(READER.Refused) as refused:
        READER.of_box(case["file"], KEYS)
    assert refused.value.args[0] == case["code"]


@pytest.mark.parametrize("name", OFFICES["valid"])
def test_head_office_s_certificate_holds(name: str) -> None:
    assert READER.of_office(OFFICES["valid"][name], KEYS)["part"] == "aa" * 16


@pytest.mark.parametrize("name", OFFICES["invalid"])
def test_head_office_s_certificate_is_refused_by_the_same_code(name: str) -> None:
    case = OFFICES["invalid"][name]
    with pytest.raises(READER.Refused) as refused:
        READER.of_office(case["file"], KEYS)
    assert refused.value.args[0] == case["code"]


def test_its_command_says_how_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys").write_text("\n".join(["# trusted", *KEYS]) + "\n")
    file = tmp_path / "file"
    ends = []
    for text in (
        BOXES["valid"]["cosigned"]["file"],
        OFFICES["valid"]["due"],
        BOXES["invalid"]["signed by another"]["file"],
        OFFICES["invalid"]["altered"]["file"],
    ):
        file.write_text(text)
        ends.append(READER.main([str(file), str(tmp_path / "keys")]))
    assert ends == [0, 0, 3, 20]
    assert READER.main([]) == 2
    assert json.loads(capsys.readouterr().out.splitlines()[0])["reason"] == "due"
