"""Into the loop and out of it again: who may enter, and how a drone is left as it was, whatever happened.

A device in the loop has its motors locked off and cannot be armed. That is safe, and useless: so on every way out, an
error, Ctrl-C and a bad link included, the parameter `fledge.hil` goes back to 0.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError

from fledge_hil.client import Client, LinkError
from fledge_hil.crtp import Port
from fledge_hil.injection import Mode, Ready
from fledge_hil.loop_client import LoopClient
from fledge_hil.parameter_list import CONTROLLER_OUT_OF_TREE
from fledge_hil.preflight import ARMED

SWITCH = "fledge.hil"
LEAVE_TRIES = 5
"""Each waits for an echo as long as any parameter."""
_NORMAL = {"fledge.enable": 0, "fledge.ref": 0, SWITCH: 0}
"""What a drone is left with."""


class LoopError(FledgeError):
    """The device is not fit for the loop; nothing has run."""


@dataclass(frozen=True)
class Device:
    """Who is at the other end."""

    device_type: str
    firmware: str


def look(client: Client) -> Device:
    """Ask for its names. Raises LoopError when it has no app of ours, or is armed; LinkError."""
    if not client.has_parameter(SWITCH):
        raise LoopError(f"{client.uri} has no parameter {SWITCH}: flash fledge's app")
    if is_armed(client):
        raise LoopError(f"{client.uri} is armed: disarm it first, and take the propellers off")
    return Device(_version(client, 2), _version(client, 1))


def is_armed(client: Client) -> bool:
    """What its supervisor says. Raises LinkError."""
    answer = client.request(Port.SUPERVISOR, 0, b"\x0c", 0)
    return len(answer) >= 3 and bool(int.from_bytes(answer[1:3], "little") >> ARMED & 1)


@contextlib.contextmanager
def in_the_loop(client: Client, mode: Mode) -> Iterator[LoopClient]:
    """The device in a mode, its policy off; leaving the block leaves the loop. Raises LoopError, LinkError."""
    loop = LoopClient(client)
    try:
        for name, value in {**_NORMAL, "stabilizer.controller": CONTROLLER_OUT_OF_TREE}.items():
            client.set_parameter(name, value)
        client.set_parameter(SWITCH, mode)
        if client.parameter(SWITCH) != mode:
            said = " | ".join(client.console[-2:])
            raise LoopError(f"{client.uri} refused {SWITCH} {mode:d}: {said or 'it does not say why'}")
        yield loop
    finally:
        loop.left = False
        loop.left = leave(client)


def leave(client: Client) -> bool:
    """Whether the device confirmed that it is out of the loop; tries hard, raises nothing but KeyboardInterrupt."""
    for _ in range(LEAVE_TRIES):
        try:
            for name, value in _NORMAL.items():
                client.set_parameter(name, value)
            if client.parameter(SWITCH) == Mode.OFF:
                return True
        except KeyboardInterrupt:
            with contextlib.suppress(FledgeError):
                for name, value in _NORMAL.items():
                    client.post_parameter(name, value)
            raise
        except LinkError:
            continue
    return False


def require_contract(ready: Ready, contract: Contract, uri: str) -> None:
    """Raises LoopError when the device runs another policy, or its self-test failed."""
    if not ready.self_test_passed:
        raise LoopError(f"the policy on {uri} failed its self-test: flash a good image")
    if ready.contract_hash != contract.hash32:
        raise LoopError(
            f"{uri} runs contract {ready.contract_hash:08x}, the policy file is {contract.hash32:08x}: export and "
            "flash it again, or take the policy that it runs; `--mode parity` compares them"
        )


def _version(client: Client, command: int) -> str:
    answer = client.request(Port.PLATFORM, 1, bytes((command,)))
    return answer[1:].split(b"\0")[0].decode("ascii", "replace")
