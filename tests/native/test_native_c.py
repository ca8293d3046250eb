"""Every C test program, under the sanitizers that suit it.

X.c runs under AddressSanitizer and UndefinedBehaviorSanitizer, X_threads.c under ThreadSanitizer.
"""

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{NATIVE}", f"-I{HERE}"]
ADDRESS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREAD = ["-fsanitize=thread", "-pthread"]
LIBRARIES = ["-lopus", "-lFLAC", "-lspandsp", "-lcrypto", "-ldeflate", "-lm"]
PROGRAMS = sorted(path.stem for path in HERE.glob("*.c"))
THREADED = [name for name in PROGRAMS if name.endswith("_threads")]


def compile_c(*words: str) -> None:
    """Run gcc; what it says is the assertion's message."""
    done = subprocess.run(["gcc", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program without address randomization, which ThreadSanitizer dislikes."""
    steady = ["setarch", platform.machine(), "-R"] if shutil.which("setarch") else []
    return subprocess.run(
        [*steady, str(program), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TSAN_OPTIONS": "exitcode=66", "UBSAN_OPTIONS": "print_stacktrace=1"},
    )


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of native/*.c as one archive, with AddressSanitizer and UndefinedBehaviorSanitizer."""
    folder = tmp_path_factory.mktemp("core")
    sources = sorted(NATIVE.glob("*.c"))
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(
            lambda source: compile_c(
                *FLAGS, *ADDRESS, "-c", str(source), "-o", str(folder / f"{source.stem}.o")
            ),
            sources,
        ):
            pass
    archive = folder / "core.a"
    subprocess.run(["ar", "rcs", str(archive), *map(str, folder.glob("*.o"))], check=True)
    return archive


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in THREADED])
def test_c_program_passes_under_address_and_undefined_sanitizers(
    name: str, core: Path, tmp_path: Path
) -> None:
    program = tmp_path / name
    compile_c(*FLAGS, *ADDRESS, str(HERE / f"{name}.c"), str(core), *LIBRARIES, "-o", str(program))
    done = run(program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


# What the threaded programs are made of: recompiling all of the core for them takes long.
PACKETS = ["udp", "rtp", "event", "sequence", "window", "stream", "expect", "place", "table"]
SEALING = ["hkdf", "ear", "g711", "tree", "twins", "seal", "track", "leg", "attach", "spool"]
ENCODING = ["pool", "coder", "voice", "opus"]
SHARED = {
    "ring_threads": ["ring", "record"],
    "flow_threads": [
        "ring",
        "record",
        *PACKETS,
        *SEALING,
        *ENCODING,
        "filter",
        "tap",
        "log",
        "flow",
        "recall",
        "hold",
        "sorting",
    ],
    "pool_threads": ["pool"],
    "voice_threads": [*PACKETS, *SEALING, *ENCODING],
}


def build_threaded(name: str, program: Path, *words: str) -> None:
    """A threaded program with the rooms that its threads share."""
    sources = [HERE / f"{name}.c", *(NATIVE / f"{room}.c" for room in SHARED[name])]
    libraries = ["-lcrypto", "-ldeflate", "-lopus", "-lspandsp"]
    compile_c(*FLAGS, *THREAD, *words, *map(str, sources), *libraries, "-o", str(program))


@pytest.mark.parametrize("name", THREADED)
def test_c_program_passes_under_thread_sanitizer(name: str, tmp_path: Path) -> None:
    build_threaded(name, tmp_path / name)
    done = run(tmp_path / name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_a_ring_without_release_is_noticed(tmp_path: Path) -> None:
    build_threaded(
        "ring_threads", tmp_path / "mutant", "-DGREFFIER_RING_RELEASE=memory_order_relaxed"
    )
    done = run(tmp_path / "mutant", "20000")
    assert done.returncode == 66, done.stdout + done.stderr
    assert "ThreadSanitizer: data race" in done.stderr


def test_every_room_has_a_test_program() -> None:
    # Seen through stream, seal, leg, flow, tap, and two programs with threads.
    inner = {"sequence", "window", "expect", "tree", "hkdf", "track", "table", "log", "sorting"}
    inner |= {"filter", "recall", "hold", "attach", "pool", "voice"}
    rooms = {path.stem for path in NATIVE.glob("*.c")} - inner
    assert rooms - set(PROGRAMS) == set()
