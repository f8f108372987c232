"""The command line: `fledge VERB [options]`. A verb is imported only when it is called, so start-up stays short."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from fledge_sim import __version__
from fledge_sim.errors import FledgeError

VERBS: Mapping[str, str] = {
    "fly": "train, export, check and fly on the virtual Crazyflie, in one go; writes a report",
    "train": "train a policy for a robot; writes runs/NAME/policy.npz",
    "ablate": "leave one part of the paper's recipe out at a time, and say which of its findings replicate",
    "eval": "measure a policy in simulation: survival, hover, figure-eights, robustness",
    "bench": "measure the parts beside their peers: fledge bench sim, bench crosscheck, bench export",
    "export": "turn a policy into C for a microcontroller, and into ONNX",
    "import": "make a policy of an ONNX model trained elsewhere, under a contract",
    "finetune": "quantise a policy to int8 or int16 with learning, so that it acts like the float network",
    "check": "check an exported policy on the target: parity, self-test, instruction count, modelled time",
    "flash": "put firmware or a policy on a Crazyflie, real or virtual: checked before, verified, checked after",
    "sim": "serve a virtual Crazyflie over UDP for any cflib client",
    "arm": "move an arm of bus servos with a policy, or serve virtual servos: arm run, arm sim, arm check",
    "replay": "put a logged flight through the policy again: did the drone do what the C says?",
    "report": "compare two flights",
    "view": "look at a flight in the browser, in three dimensions",
    "touch": "what finger pads feel of an object, as pictures: image, force field, what the policy sees",
    "hil": "fly a policy on a virtual or real Crazyflie and report (uri udp://, usb:// or radio://)",
}


CLOSED_PIPE = 141
"""Exit code of a program that a closed pipe ends: 128 + SIGPIPE."""


def overview() -> str:
    """What `fledge --help` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {what}" for verb, what in VERBS.items()]
    return "\n".join(
        [
            "usage: fledge VERB [options]",
            "",
            "Train a neural flight controller in seconds, put it on a Crazyflie's microcontroller, and prove",
            "before the first flight that it will work.",
            "",
            *lines,
            "",
            "`fledge VERB --help` explains a verb. Start with `fledge fly`.",
        ]
    )


def run(arguments: Sequence[str]) -> int:
    """Exit code of one command: 0 done, 1 a check or flight failed, 2 bad input, 130 interrupted."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb in ("-V", "--version"):
        print(f"fledge {__version__}")
        return 0
    if verb not in VERBS:
        print(f"fledge: no verb '{verb}'; choose one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(f"fledge_hil.verbs.{verb}")
        return int(module.run(_parse(module, rest, f"fledge {verb}")))
    except FledgeError as error:
        print(f"fledge {verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fledge {verb}: interrupted", file=sys.stderr)
        return 130


def _parse(module: ModuleType, arguments: Sequence[str], prog: str) -> Any:
    """The verb's options; a verb whose defaults depend on its flags has its own `parse`."""
    import tyro

    if hasattr(module, "parse"):
        return module.parse(arguments, prog)
    return tyro.cli(module.Options, args=arguments, prog=prog, description=module.__doc__)


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # networks this small lose time to a second thread
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would complain at exit
        code = CLOSED_PIPE
    sys.exit(code)


if __name__ == "__main__":
    main()
