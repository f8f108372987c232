"""The event file: TensorBoard's own reader gives back what was written."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from fledge_sim.errors import FledgeError
from fledge_train import config, scalars, trainer
from fledge_train.scalars import Scalars
from fledge_train.trainer import Progress


def moment(iteration: int) -> Progress:
    return Progress(iteration, 1000, 16 * iteration, 0.5, 0.25, {"cost": 2.5 * iteration}, 0.125 * iteration)


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reader.EventAccumulator(str(folder))
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in tags}


def test_tensorboard_reads_measurements_and_schedules(tmp_path: Path) -> None:
    cfg = config.robust()
    with Scalars(tmp_path / "run", cfg) as stream:
        for iteration in (0, 500, 1000):
            stream.write(moment(iteration))
    seen = read(tmp_path / "run")
    assert seen["train/cost"] == [(0, 0.0), (500, 1250.0), (1000, 2500.0)]
    assert seen["train/seconds"] == [(0, 0.0), (500, 62.5), (1000, 125.0)]
    assert seen["train/steps"][-1] == (1000, 16000.0)
    first, _, last = seen["schedule/learning_rate"]
    assert first == (0, pytest.approx(cfg.learning_rate.start))
    assert last == (1000, pytest.approx(cfg.learning_rate.end))
    assert seen["schedule/cost/position"][1] == (500, pytest.approx(cfg.cost.position.at(0.5)))


def test_a_resumed_run_has_each_moment_once(tmp_path: Path) -> None:
    with Scalars(tmp_path, config.robust()) as stream:
        for iteration in (100, 200, 300):  # the checkpoint was at 200
            stream.write(moment(iteration))
    with Scalars(tmp_path, config.robust(), before=[moment(100), moment(200)]) as stream:
        stream.write(moment(300))
    assert [step for step, _ in read(tmp_path)["train/cost"]] == [100, 200, 300]


def test_every_schedule_of_a_configuration_is_shown() -> None:
    cfg = config.fast(actor="mlp")
    names = [f"schedule/cost/{entry.name}" for entry in dataclasses.fields(cfg.cost)]
    found = scalars.schedules(cfg)
    assert found.keys() >= {"schedule/horizon", "schedule/learning_rate", *names}
    assert len(found) == len(re.findall(r"(Ramp|Cosine|Line)\(", repr(cfg)))


def test_checksums_of_the_standard() -> None:
    assert scalars.crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert scalars.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_varints_of_the_protocol_buffer_guide() -> None:
    assert [scalars.varint(number) for number in (0, 1, 150, 300)] == [b"\0", b"\x01", b"\x96\x01", b"\xac\x02"]


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    stream = Scalars(tmp_path, config.robust())
    stream._stream.close()
    stream._stream = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(FledgeError, match="No space left"), stream:
        stream.write(moment(1))


def test_figures_carry_what_the_algorithm_says() -> None:
    entry = trainer.Progress(1, 2, 3, 0.1, 0.2, {"loss": 4.0}, 5.0)
    assert scalars.figures_of(entry)["train/loss"] == 4.0
