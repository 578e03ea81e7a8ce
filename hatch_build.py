"""Builds the C++ kernels with the package, where there is a compiler; without one it installs too.

`python hatch_build.py` builds them in place, `python hatch_build.py --sanitize` with the address
and undefined-behaviour sanitizers, for tests.
"""

import os
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # built in place, by hand
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "siamcorr" / "ops" / "native"
MODULE = "siamcorr/ops/_native.abi3.so"  # loaded by Python on every system but Windows
FLAGS = ["-std=c++17", "-O2", "-ffp-contract=fast", "-fno-exceptions", "-fno-rtti"]
FLAGS += ["-Wno-psabi", "-fvisibility=hidden", "-g0", "-falign-functions=64"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1"]


class ParallelBuild(build_ext):
    """Compile the sources of an extension at the same time."""

    def build_extension(self, ext: Extension) -> None:
        """Give each source to a compiler of its own."""
        compile_some = self.compiler.compile

        def compile_all(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = pool.map(lambda source: compile_some([source], **options), sources)
                return [name for names in made for name in names]

        self.compiler.compile = compile_all
        super().build_extension(ext)


def build(extra: list[str]) -> Path:
    """Compile the kernels to `MODULE`, under the root.

    Raises:
        Exception: no compiler, or none that can.
    """
    extension = Extension(
        "siamcorr.ops._native",
        [str(source) for source in sorted(SOURCES.glob("*.cpp"))],
        depends=[str(header) for header in sorted(SOURCES.glob("*.h"))],
        define_macros=[("Py_LIMITED_API", "0x030B0000")],
        extra_compile_args=FLAGS + extra,
        extra_link_args=extra,
        py_limited_api=True,
        language="c++",
    )
    command = ParallelBuild(Distribution({"name": "siamcorr", "ext_modules": [extension]}))
    with tempfile.TemporaryDirectory() as folder:
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        command.run()
        (built,) = Path(folder).rglob("_native*.so")
        target = ROOT / MODULE
        content = built.read_bytes()
        target.unlink(missing_ok=True)  # who has the old one loaded keeps it
        target.write_bytes(content)
    return target


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """What hatchling calls before it packs a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the kernels, and tag the wheel by what it holds."""
        if os.environ.get("SIAMCORR_NATIVE") == "0":
            return
        try:
            build([])
        except Exception as error:  # of many kinds, by the compiler and the system
            if os.environ.get("SIAMCORR_NATIVE") == "1":
                raise
            self.app.display_warning(f"siamcorr: built without its C++ kernels: {error}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"cp311-abi3-{platform}"
        build_data["pure_python"] = False
        build_data["artifacts"].append(f"/{MODULE}")


if __name__ == "__main__":
    print(build(SANITIZE if "--sanitize" in sys.argv[1:] else []))
