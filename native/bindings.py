"""What greffier._native is made of: every X.h is its own declaration, every X.c its source."""

import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
SOUND = ("g711", "opus", "flac", "narrow")
SPOOL = ("place", "ear", "spool", "leg", "coder", "voice", "tap", "flow")
ROOMS = ("ring", "record", "rtp", "event", "stream", "delay", *SOUND, "udp", "seal", *SPOOL)
# Used by other rooms only: Python does not see their declarations.
INNER = (
    "sequence",
    "window",
    "expect",
    "tree",
    "hkdf",
    "twins",
    "track",
    "table",
    "log",
    "sorting",
    "filter",
    "recall",
    "hold",
    "pool",
    "attach",
)
LIBRARIES: list[str] = ["opus", "FLAC", "spandsp", "crypto", "deflate"]


def declarations(header: Path) -> str:
    """The plain declarations of a header: what stands between its preprocessor lines."""
    text = header.read_text(encoding="ascii")
    return "\n".join(line for line in text.splitlines() if not re.match(r"\s*#", line))


ffibuilder = FFI()
for room in ROOMS:
    ffibuilder.cdef(declarations(HERE / f"{room}.h"))
ffibuilder.set_source(
    "greffier._native",
    "\n".join(f'#include "{room}.h"' for room in ROOMS),
    sources=[f"native/{room}.c" for room in ROOMS + INNER],
    include_dirs=["native"],
    depends=[str(header.relative_to(HERE.parent)) for header in HERE.glob("*.h")],
    libraries=LIBRARIES,
    extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
