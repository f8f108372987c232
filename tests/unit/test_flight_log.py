"""Flight logs: round trip, phases, and every kind of damage refused with a sentence."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import flight_log, tables
from fledge_hil.flight_log import COLUMNS, FlightLog, Minute, Phase, Soak
from fledge_hil.tables import Table, columns
from fledge_sim.errors import FledgeError

TABLE = np.arange(5 * len(COLUMNS), dtype=float).reshape(5, len(COLUMNS))
TABLE[:, 0] = (0.0, 1.0, 2.0, 3.0, 4.0)
PHASES = (Phase("hover", 0.0, 2.0), Phase("land", 2.5, 4.0))
LOG = FlightLog("udp://a", "Crazyflie 2.1", "fledge 1", "ab" * 32, TABLE, PHASES, ("one", "zwei ü"), 1.5, "", 3.5)


def test_round_trip(tmp_path: Path) -> None:
    flight_log.save(LOG, tmp_path / "flight.csv.gz")
    loaded = flight_log.load(tmp_path / "flight.csv.gz")
    assert np.array_equal(loaded.table, TABLE)
    assert dataclasses.replace(loaded, table=TABLE) == dataclasses.replace(LOG, table=TABLE, wall_seconds=0.0)


def test_the_same_flight_gives_the_same_bytes_however_long_it_took(tmp_path: Path) -> None:
    minute = Minute(0.0, 60.0, 0.02, 0.05, 1.0, 0, 0, 30000, 1.0, 4.0)
    for name, seconds, memory in (("a", 1.0, 80.0), ("b", 9.0, 120.0)):
        soak = Soak((minute,), "00", (memory,))
        flight_log.save(dataclasses.replace(LOG, wall_seconds=seconds, soak=soak), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert flight_log.load(tmp_path / "a").soak == Soak((minute,), "00")


def test_round_trip_of_an_aborted_flight_without_rows(tmp_path: Path) -> None:
    empty = dataclasses.replace(LOG, table=TABLE[:0], phases=(), console=(), aborted="no packet arrived")
    flight_log.save(empty, tmp_path / "flight.csv.gz")
    loaded = flight_log.load(tmp_path / "flight.csv.gz")
    assert (loaded.table.shape, loaded.phases, loaded.console) == ((0, len(COLUMNS)), (), ())
    assert loaded.aborted == "no packet arrived"
    assert loaded.device_seconds == 0


def test_columns_come_in_the_order_asked() -> None:
    assert LOG.column("y", "x")[0].tolist() == [COLUMNS.index("y"), COLUMNS.index("x")]


def test_rows_of_a_phase_include_both_ends_and_skip_its_start() -> None:
    assert LOG.during("hover").tolist() == [True, True, True, False, False]
    assert LOG.during("hover", skip=0.5).tolist() == [False, True, True, False, False]
    assert not LOG.during("somersault").any()


def test_device_time_spans_all_phases() -> None:
    assert LOG.device_seconds == 4.0


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_damage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "flight.csv.gz").write_bytes(content)
    with pytest.raises(FledgeError, match=r"flight\.csv\.gz"):
        flight_log.load(tmp_path / "flight.csv.gz")


def test_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    flight_log.save(LOG, tmp_path / "whole.csv.gz")
    whole = (tmp_path / "whole.csv.gz").read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "cut.csv.gz").write_bytes(whole[:length])
        with pytest.raises(FledgeError):
            flight_log.load(tmp_path / "cut.csv.gz")


def test_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    flight_log.save(LOG, tmp_path / "whole.csv.gz")
    whole = (tmp_path / "whole.csv.gz").read_bytes()
    refused = 0
    for at in range(0, len(whole), 41):
        (tmp_path / "odd.csv.gz").write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        try:
            loaded = flight_log.load(tmp_path / "odd.csv.gz")
        except FledgeError:
            refused += 1
        else:
            assert np.array_equal(loaded.table, TABLE)
    assert refused > 10


def test_missing_file_and_other_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="fly again"):
        flight_log.load(tmp_path / "none.csv.gz")
    tables.save(Table(columns("s", "", "time"), TABLE[:, :1], {}), tmp_path / "other.csv.gz")
    with pytest.raises(FledgeError, match="another version"):
        flight_log.load(tmp_path / "other.csv.gz")
