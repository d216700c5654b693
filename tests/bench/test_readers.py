"""What the bench reads from others, on samples of their real output."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from bench import capture, disk, perfdhcp, usage
from bench.capture import ACK, DISCOVER, NAK, OFFER, REQUEST

SAMPLES = Path(__file__).parent / "samples"


def test_a_report_without_losses_is_read() -> None:
    report = perfdhcp.parse((SAMPLES / "perfdhcp-all-answered.txt").read_text())
    assert (report.discovers, report.offers, report.requests, report.acks) == (2999, 2999, 2999, 2999)
    assert report.lost == 0
    assert report.twice == 0


def test_an_exchange_counts_as_lost_wherever_it_ended() -> None:
    report = perfdhcp.parse((SAMPLES / "perfdhcp-overloaded.txt").read_text())
    assert (report.discovers, report.acks) == (56395, 14966)
    assert report.lost == pytest.approx(0.7346, abs=1e-4)


def test_output_without_a_report_is_an_error_that_quotes_it() -> None:
    with pytest.raises(perfdhcp.ReportError, match="no address on eth7"):
        perfdhcp.parse("no address on eth7\n")


def test_several_load_clients_add_up() -> None:
    one = perfdhcp.Report(100, 90, 90, 80, 1, 0)
    both = perfdhcp.total([one, perfdhcp.Report(50, 50, 50, 50, 0, 2)])
    assert both == perfdhcp.Report(150, 140, 140, 130, 1, 2)


def test_no_client_appears_in_two_steps_or_at_two_loaders() -> None:
    bases = {
        perfdhcp.command(perfdhcp.Step(number, 1000, 5), "10.0.0.1", "10.0.0.2", loader)[9]
        for number in (1, 2)
        for loader in (0, 1)
    }
    assert len(bases) == 4
    assert all(base.startswith("mac=02:") for base in bases)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert capture.percentile(list(range(100, 0, -1)), share) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    assert math.isnan(capture.percentile([], 0.5))


def frame(kind: int, client: int, xid: int) -> bytes:
    """An Ethernet frame with a DHCPv4 message, as short as it may be; a pad and an option precede option 53."""
    fixed = struct.pack(">4BI20s16s192s", 1, 1, 6, 0, xid, b"", client.to_bytes(6, "big").ljust(16, b"\0"), b"")
    dhcp = fixed + b"\x63\x82\x53\x63" + bytes([0, 57, 2, 5, 0, 53, 1, kind, 255])
    return b"\0" * 12 + b"\x08\x00" + b"\x45" + b"\0" * 8 + b"\x11" + b"\0" * 10 + b"\0" * 8 + dhcp


def test_replies_are_matched_by_client_and_transaction() -> None:
    seen = capture.delays(
        [
            (0.0, frame(DISCOVER, 1, 7)),
            (0.1, frame(DISCOVER, 2, 7)),
            (0.5, frame(OFFER, 2, 7)),
            (1.0, frame(OFFER, 1, 7)),
            (2.0, frame(REQUEST, 1, 8)),
            (2.25, frame(ACK, 1, 8)),
        ]
    )
    assert seen.offer == [pytest.approx(0.4), pytest.approx(1.0)]
    assert seen.ack == [pytest.approx(0.25)]


def test_the_first_request_and_the_first_reply_count() -> None:
    copies = [(0.0, REQUEST), (1.0, REQUEST), (1.5, ACK), (1.6, ACK)]
    seen = capture.delays((when, frame(kind, 1, 1)) for when, kind in copies)
    assert seen.ack == [1.5]


def test_a_refusal_is_a_reply_and_is_counted() -> None:
    seen = capture.delays([(0.0, frame(REQUEST, 1, 1)), (0.1, frame(NAK, 1, 1)), (0.2, frame(REQUEST, 2, 2))])
    assert (seen.ack, seen.naks, seen.unanswered) == ([0.1], 1, 1)


@pytest.mark.parametrize("other", [b"", b"\0" * 20, frame(ACK, 1, 1)[:100], b"\0" * 12 + b"\x86\xdd" + b"\0" * 300])
def test_other_frames_are_no_messages(other: bytes) -> None:
    assert capture.message(other) is None


@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1e-6), (0xA1B23C4D, 1e-9)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_capture_is_read_in_either_byte_order_and_resolution(magic: int, unit: float, order: str) -> None:
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    record = struct.pack(order + "IIII", 10, 500, 3, 60) + b"abc"
    assert list(capture.frames(header + record + record[:-1])) == [(pytest.approx(10 + 500 * unit), b"abc")]


def test_cpu_time_is_read_whatever_the_program_is_called() -> None:
    stat = "77 (a) b (c) S 1 77 77 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 4 0 9 9 9"
    assert usage.cpu_seconds_of(stat) == 200 / usage._TICKS


def test_memory_is_read_in_megabytes() -> None:
    status = "Name:\tx\nVmHWM:\t  2000 kB\nVmRSS:\t  1000 kB\n"
    assert usage.megabytes_of(status) == pytest.approx(1.024)
    assert usage.megabytes_of(status, "VmHWM") == pytest.approx(2.048)


def test_the_file_system_is_that_of_the_closest_mount() -> None:
    mounts = "\n".join(
        [
            "1 0 254:0 / / rw,relatime - ext4 /dev/vda rw",
            "2 1 0:20 / /data/fast rw shared:3 - tmpfs tmpfs rw,size=1k",
        ]
    )
    assert disk.filesystem(Path("/data/fast/bench"), mounts) == "tmpfs"
    assert disk.filesystem(Path("/data/faster"), mounts) == "ext4"
