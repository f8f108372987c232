"""What may be flashed, judged by its bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from fledge_export.image import ImageError
from fledge_hil import firmware_image
from fledge_hil.firmware_image import START


def crazyflie(*devices: str, stack: int = 0x2001FFFF, entry: int = START + 0x201, marker: bytes = b"") -> bytes:
    """As the public firmware is linked."""
    names = b"".join(b"\0" + name.encode() + b"\0" for name in devices)
    return struct.pack("<2I", stack, entry) + bytes(500) + names + marker + bytes(4000)


def test_the_firmware_names_its_devices_and_its_policy() -> None:
    marker = b"fledge-policy:" + 32 * b"a7" + b":crazyflie\0"
    content = crazyflie("CF21", "Crazyflie 2.x", "Crazyflie 2.0", "Crazyflie 2.1", marker=marker)
    image = firmware_image.parse(Path("cf2.bin"), content)
    assert (image.kind, image.devices, image.policy) == ("crazyflie", ("Crazyflie 2.0", "Crazyflie 2.1"), 32 * "a7")


def test_a_brushless_image_is_for_no_other_drone() -> None:
    """The name of one is the beginning of the other's."""
    image = firmware_image.parse(Path("cf21bl.bin"), crazyflie("Crazyflie 2.1 Brushless"))
    assert image.devices == ("Crazyflie 2.1 Brushless",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "0 bytes only, it is no firmware"),
        (crazyflie("Crazyflie 2.1")[:1000], "1000 bytes only"),
        (b"\x7fELF" + bytes(5000), "is an ELF; take the .bin beside it"),
        (b"PK\x03\x04" + bytes(5000), "release archive; unpack it"),
        (bytes(1_032_193), "has 1032193 bytes, the flash has room for 1032192"),
        (bytes(5000), "is not a Crazyflie image"),
        (crazyflie("Crazyflie 2.1", stack=0x30000000), "is not a Crazyflie image"),
        (crazyflie("Crazyflie 2.1", entry=START + 0x200), "is not a Crazyflie image"),  # no Thumb bit
        (crazyflie("Crazyflie 2.1", entry=0x08000201), "is not a Crazyflie image"),  # for another place
        (crazyflie(), "no device type"),
    ],
)  # fmt: skip
def test_what_is_no_firmware_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence.replace(".", r"\.")):
        firmware_image.parse(Path("x.bin"), content)


def test_a_folder_must_hold_one_image(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    with pytest.raises(ImageError, match="holds: none"):
        firmware_image.load(tmp_path)
    (tmp_path / "build" / "cf2.bin").write_bytes(crazyflie("Crazyflie 2.1"))
    assert firmware_image.load(tmp_path).devices == ("Crazyflie 2.1",)
    (tmp_path / "build" / "cf21bl.bin").write_bytes(crazyflie("Crazyflie 2.1 Brushless"))
    with pytest.raises(ImageError, match=r"holds: build/cf2\.bin, build/cf21bl\.bin; name the one"):
        firmware_image.load(tmp_path)
    with pytest.raises(ImageError, match="cannot be read"):
        firmware_image.load(tmp_path / "absent.bin")
