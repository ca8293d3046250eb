"""Builds greffier._native (cffi, API mode, abi3) and compiles the message catalogues."""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def compile_catalogues() -> None:
    """Turn each .po into the .mo that gettext reads (msgfmt is part of Debian's gettext)."""
    for source in (ROOT / "firmware" / "greffier" / "locale").glob("*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        if shutil.which("msgfmt") is None:
            raise SystemExit("msgfmt is missing: apt-get install gettext")
        subprocess.run(["msgfmt", "--check", "-o", str(target), str(source)], check=True)


class BuildWithCatalogues(build_py):
    """build_py, with the catalogues compiled first so that they are packaged."""

    def run(self) -> None:
        compile_catalogues()
        super().run()


# Head office and laptops need no C core: it is only for what runs on the appliance.
with_native = os.environ.get("GREFFIER_WITHOUT_NATIVE") != "1"
setup(
    cmdclass={"build_py": BuildWithCatalogues},
    cffi_modules=["native/bindings.py:ffibuilder"] if with_native else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
