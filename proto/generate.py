"""Turn proto/ into node/everlease/pb/: called by the build, by the tests and by CI.

The generated code is never edited and never committed. The compiler is pinned low in pyproject.toml,
because generated code refuses older runtimes and never newer ones.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
OUT = ROOT / "node" / "everlease" / "pb"
_ABSOLUTE_IMPORT = re.compile(r"^from everlease\.(\w+(?:\.\w+)*) import (\w+_pb2)", re.MULTILINE)


def generate(out: Path = OUT) -> None:
    """Compile every .proto below proto/ into the package `everlease.pb`; replaces what was there."""
    from grpc_tools import _proto, protoc  # noqa: PLC0415  (a build-time tool, not a dependency)

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = sorted(str(path) for path in PROTO.rglob("*.proto"))
    include = next(iter(_proto.__path__))  # the well-known types; a namespace package has no __file__
    arguments = ["protoc", f"-I{PROTO}", f"-I{include}", f"--python_out={out}", f"--pyi_out={out}"]
    if protoc.main([*arguments, f"--grpc_python_out={out}", *files]) != 0:
        raise SystemExit("protoc failed: see its message above")
    _rehome(out)


def _rehome(out: Path) -> None:
    """Move out/everlease/* to out/* and make its imports say `everlease.pb`."""
    nested = out / "everlease"
    for path in nested.iterdir():
        path.rename(out / path.name)
    nested.rmdir()
    for path in [*out.rglob("*.py"), *out.rglob("*.pyi")]:
        text = path.read_text()
        path.write_text(_ABSOLUTE_IMPORT.sub(r"from everlease.pb.\1 import \2", text))
    for folder in [out, *(path for path in out.rglob("*") if path.is_dir())]:
        if folder.name != "__pycache__":
            (folder / "__init__.py").write_text('"""Generated from proto/ by proto/generate.py."""\n')


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called by hand, outside a build
    pass
else:

    class GenerateHook(BuildHookInterface):  # type: ignore[type-arg, misc]
        """Hatchling's hook: the wheel, the sdist and an editable install all carry fresh messages."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Generate before the files are gathered."""
            generate()


if __name__ == "__main__":
    generate()
    sys.stdout.write(f"generated {OUT.relative_to(ROOT)}\n")
