"""config.aside: compiled in another process, taken over in short steps, the same as compiled here."""

import asyncio
import gc
from collections import deque
from pathlib import Path

import pytest
from config_documents import large

from everlease.config import aside, beside, frames
from everlease.config.aside import Aside, compile_aside, retire, run
from everlease.config.assemble import Assembly
from everlease.config.load import InvalidDocument, compile_text, load
from everlease.config.worker import answer
from everlease.core.model import EMPTY
from everlease.errors import ConfigError

CAMPUS = (Path(__file__).parents[2] / "deploy" / "examples" / "campus.yaml").read_text()
RELAY = (Path(__file__).parents[2] / "deploy" / "examples" / "relay.yaml").read_text()


@pytest.mark.parametrize("text", [CAMPUS, RELAY, large(30, 40)], ids=["campus", "relay", "large"])
async def test_a_configuration_compiled_aside_equals_one_compiled_here(text: str) -> None:
    assert await compile_aside(text, revision=3, mod_revision=44) == load(text, revision=3, mod_revision=44)


async def test_problems_come_back_as_they_are_found_here() -> None:
    text = "schema: 1\nsubnets: [{id: 1, prefx: 10.0.0.0/8}]\n"
    with pytest.raises(InvalidDocument) as here:
        load(text)
    with pytest.raises(InvalidDocument) as there:
        await compile_aside(text)
    assert there.value.problems == here.value.problems


async def test_an_aside_compiles_one_document_after_another_and_ends() -> None:
    room = Aside()
    room.prepare()
    first = await room.load(CAMPUS, revision=1)
    with pytest.raises(InvalidDocument):
        await room.load("x")
    second = await room.load(CAMPUS, revision=2)
    assert (first.revision, second.revision) == (1, 2)
    await room.close()
    await room.close()


async def test_a_waiting_process_that_was_killed_is_replaced() -> None:
    room = Aside()
    room.prepare()
    assert room._spare is not None
    (await room._spare).kill()
    assert (await room.load(CAMPUS, revision=1)).revision == 1
    await room.close()


async def test_the_next_process_waits_soon_after_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "REST", 0.0)
    room = Aside()
    await room.load(CAMPUS)
    async with asyncio.timeout(10):
        while room._spare is None:  # noqa: ASYNC110  (a timer sets it)
            await asyncio.sleep(0.01)
    waiting = await room._spare
    assert (await room.load(CAMPUS, revision=2)).revision == 2
    assert not waiting.alive
    await room.close()


async def test_documents_asked_for_at_once_are_compiled_in_turn() -> None:
    room = Aside()
    found = await asyncio.gather(*(room.load(CAMPUS, revision=number) for number in range(3)))
    assert [config.revision for config in found] == [0, 1, 2]
    await room.close()


async def test_half_a_character_is_a_problem_of_the_document() -> None:
    with pytest.raises(InvalidDocument, match="this is not text"):
        await compile_aside("name: \ud800")


async def test_a_process_that_cannot_start_is_the_operators_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside.sys, "executable", "/nonexistent/python")
    with pytest.raises(ConfigError, match="cannot start a process beside the node"):
        await compile_aside(CAMPUS)


async def test_a_process_that_dies_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho 'MemoryError: out of it' >&2\nexit 1\n")
    dying.chmod(0o755)
    monkeypatch.setattr(beside.sys, "executable", str(dying))
    with pytest.raises(ConfigError, match="ended: MemoryError: out of it"):
        await compile_aside(large(2000))


async def test_collecting_garbage_goes_on_afterwards() -> None:
    assert gc.isenabled()
    await compile_aside(CAMPUS)
    assert gc.isenabled()


def test_every_frame_is_small_whatever_the_document() -> None:
    lengths = [len(frame) for frame in answer(large(200, 100), 1, 1)]
    assert len(lengths) > 200 * 100 / frames.RESERVATIONS_A_FRAME
    assert max(lengths) < 8192


def test_levels_that_say_nothing_are_one_object_on_the_other_side() -> None:
    config, ambiguous = compile_text(large(20, 5), revision=0, mod_revision=0)
    loaded = [frames.load(frame[frames.LENGTH.size :]) for frame in frames.frames(config, ambiguous)]
    kept = [one for kind, body in loaded if kind == frames.RESERVATIONS for one in body]
    assert len(kept) == 100
    assert all(one.parameters is EMPTY for one in kept)


def test_the_last_frames_make_the_network_one_by_one() -> None:
    config, ambiguous = compile_text(large(100), revision=0, mod_revision=0)
    (_, head), *rest = (frames.load(frame[frames.LENGTH.size :]) for frame in frames.frames(config, ambiguous))
    assembly = Assembly(head)
    for _, body in rest[:-1]:
        for subnet, network in body:
            assembly.add(subnet, network)
    assert sum(1 for _ in assembly.finish()) == 100
    assert assembly.config() == config


def test_a_retired_configuration_holds_nothing_any_more() -> None:
    config = load(large(20, 5))
    steps = sum(1 for _ in retire(config))
    assert steps > 20 * 5
    assert not (config.subnets or config.networks or config.network_of or config.by_relay)
    deque(retire(config), maxlen=0)


async def test_the_loop_gets_its_turn_between_slices() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await run(iter([None] * 50), slice_seconds=0)
    task.cancel()
    assert turns >= 49


def test_10000_subnets_with_reservations_compile() -> None:
    config = load(large(10_000, 1))
    assert len(config.subnets) == len(config.networks) == len(config.by_relay) == 10_000
    assert sum(len(subnet.reserved) for subnet in config.subnets.values()) == 10_000
