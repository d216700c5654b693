"""The process that compiles a document beside the node: text on standard input, frames on standard output.

The law of this file: it may be slow and large, for it shares neither the node's interpreter nor its memory; when
memory runs out, the kernel takes this process and not the node.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from everlease.config.frames import frames, refused
from everlease.config.load import compile_text
from everlease.config.problems import InvalidDocument


def answer(text: str, revision: int, mod_revision: int) -> Iterator[bytes]:
    """The frames for one document."""
    try:
        config, ambiguous = compile_text(text, revision=revision, mod_revision=mod_revision)
    except InvalidDocument as problem:
        return refused(problem)
    return frames(config, ambiguous)


def main() -> None:
    """`python -m everlease.config.worker`: a line with revision and mod revision, then the document."""
    gc.disable()  # nothing here makes cycles worth finding before it ends; a third of the time goes otherwise
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    head = sys.stdin.buffer.readline().split()
    if not head:
        return  # the node needs nothing compiled any more
    text = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    for frame in answer(text, int(head[0]), int(head[1])):
        sys.stdout.buffer.write(frame)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
