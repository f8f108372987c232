"""The whole chain in one go: train, export, check, fly on the virtual Crazyflie, report.

Trains a position controller from scratch (or takes yours), exports it to C and ONNX, compiles it for the Cortex-M4F,
checks that the image computes what was trained, starts the virtual Crazyflie with that image on an emulated processor,
connects with the unmodified cflib over UDP, checks the contract, takes off, hovers, flies a figure-eight, lands, and
writes report.html.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from fledge_export import package
from fledge_export.timing import CLOCK
from fledge_sim import policy as policy_file
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import check, formats, recording, screen
from fledge_hil.check_report import CheckReport
from fledge_hil.flight_log import FILE, save
from fledge_hil.formats import Quantisation
from fledge_hil.plans import Plan
from fledge_hil.real_time import of_flight
from fledge_hil.report import Proof, ProofLine, Report, write
from fledge_hil.verbs import hil
from fledge_hil.versions import versions

STOP_TIMEOUT = 30.0
"""[s] for the virtual Crazyflie to write its recording."""
TRUTH = "truth.csv.gz"


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Path | None = None
    """Fly this policy instead of training one."""
    preset: Literal["robust", "fast", "tracking"] = "robust"
    """Of training: robust, under 3 s; fast, about 0.3 s; tracking, for fast curves, 20 s."""
    robot: str | None = None
    """Robot to train for and to simulate; default: crazyflie, or the one that --policy was trained for."""
    actor: Literal["gru", "mlp"] = "gru"
    """Kind of network."""
    format: Quantisation | None = None
    """Arithmetic on the drone: float32, int16 or int8; default: float32, or the format of --policy."""
    seed: int = 0
    """Of training, and of the virtual drone's body, sensor noise and disturbances."""
    variation: float = 0.1
    """The virtual drone's mass, inertia and rotor lag differ from the robot file by up to this share."""
    disturbance: float = 1.0
    """Constant force and torque on it, in units of training's: 5 % of the weight per axis, standard deviation."""
    name: str | None = None
    """Of the run; default: fly-SEED."""
    directory: Path = Path("runs")
    """Where runs are kept."""
    flight: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)
    """Details of the plan."""


class Stopwatch:
    """Wall-clock per phase [s]."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block under a name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start


@dataclass(frozen=True)
class Chain:
    """What every link of the chain needs to know."""

    options: Options
    folder: Path
    """Of the run."""
    watch: Stopwatch


def run(options: Options) -> int:
    """The chain; 1 when the proof or the flight failed."""
    from fledge_train import runs

    folder = runs.run_folder(options.directory, options.name or f"fly-{options.seed}")
    chain = Chain(options, folder, Stopwatch())
    path, evaluation = _policy(chain)
    trained = policy_file.load(path)
    path, policy = _in_format(chain, path, trained)
    proof, sizes = _prove(chain, policy, trained)
    with chain.watch.phase("start the virtual Crazyflie"):
        server, uri = _start(chain, path, proof.microseconds[1])
    try:
        screen.say(f"flying    {uri}, unmodified cflib {importlib.metadata.version('cflib')}")
        with chain.watch.phase("connect, check, fly, land"):
            log = hil.fly_with_bar(uri, policy, options.flight)
    finally:
        _stop(server)
    truth = folder / TRUTH
    return _finish(
        chain,
        Report(
            name=folder.name,
            policy=policy,
            log=log,
            recording=recording.load(truth) if truth.exists() else None,
            proof=_lines(proof),
            evaluation=evaluation,
            sizes=sizes,
            planned=options.flight.judged,
            real_time=of_flight(log),
        ),
    )


def _policy(chain: Chain) -> tuple[Path, dict[str, Any] | None]:
    """Path of the policy to fly, and its figures from simulation."""
    options, watch = chain.options, chain.watch
    if options.policy is not None:
        return options.policy, None
    from fledge_train import runs

    from fledge_hil.verbs import eval as evaluation
    from fledge_hil.verbs import train

    config = train.PRESETS[options.preset](options.robot or "crazyflie", options.actor, options.seed)
    with watch.phase("train"):
        result = train.train_with_bar(chain.folder, config)
    if result.interrupted:
        screen.say(f"the policy so far: {chain.folder / runs.POLICY}")
        raise KeyboardInterrupt
    screen.say(f"trained   {result.policy.parameter_count} weights in {result.seconds:.2f} s")
    with watch.phase("evaluate in simulation"), screen.bar("evaluating"):
        figures = evaluation.measure(result.policy, options.robot)
    eight = figures.figure_eight_as_flown
    screen.say(
        f"evaluated hover {screen.centimetres(figures.hover_as_flown.error)}, "
        f"figure-eight {screen.centimetres(eight.rmse)} RMSE, {eight.survival:.0%} of {eight.period:g} s laps kept"
    )
    return runs.save_run(chain.folder, config, result, figures), dataclasses.asdict(figures)


def _in_format(chain: Chain, path: Path, trained: Policy) -> tuple[Path, Policy]:
    """The policy as it will fly, and its file: integers are kept with the run, with a contract of their own."""
    wanted = chain.options.format
    if wanted is None or wanted == trained.contract.quantisation:
        return path, trained
    policy = formats.convert(trained, wanted, chain.options.robot)
    kept = chain.folder / f"policy-{wanted}.npz"
    policy_file.save(policy, kept)
    screen.say(f"quantised {wanted}, contract {policy.contract.hash32:08x}: {kept}")
    return kept, policy


def _prove(chain: Chain, policy: Policy, trained: Policy) -> tuple[CheckReport, dict[str, int]]:
    """Export, compile, compare: the proof and the sizes of the emitted files."""
    folder = chain.folder / "export"
    with chain.watch.phase("export to C and ONNX"):
        manifest = package.export(policy, folder)
    screen.say(f"exported  {', '.join(manifest.sizes)} to {folder}")
    with chain.watch.phase("compile and check"), screen.bar("checking"):
        reference = None if policy is trained else check.Reference.of(trained, chain.options.robot)
        proof = check.check_source(policy, folder, reference)
    passed = sum(line.passed for line in proof.lines)
    lower, nominal, upper = proof.microseconds
    screen.say(f"checked   {passed} of {len(proof.lines)} passed on the emulated Cortex-M4F")
    screen.say(f"timed     {proof.instructions} instructions, {lower:.0f}-{nominal:.0f}-{upper:.0f} us (modelled)")
    image = {"code in flash": proof.sizes.code, "constants in flash": proof.sizes.constants, "RAM": proof.sizes.ram}
    return proof, {**manifest.sizes, **image}


def _start(chain: Chain, policy: Path, inference_us: float) -> tuple[subprocess.Popen[str], str]:
    """`fledge sim` in a process of its own, and its uri."""
    options, folder = chain.options, chain.folder
    flags = {
        "port": 0,
        "seed": options.seed,
        "variation": options.variation,
        "disturbance": options.disturbance,
        "inference-us": f"{inference_us:.1f}",
        "record": folder / TRUTH,
        "cache": folder / "build",
    }
    command = [sys.executable, "-m", "fledge_hil.cli", "sim", str(policy)]
    command += [f"--{name}={value}" for name, value in flags.items()]
    command += [] if options.robot is None else ["--robot", options.robot]
    (folder / TRUTH).unlink(missing_ok=True)
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert server.stdout is not None
    first = server.stdout.readline().split()
    if len(first) < 2 or first[0] != "serving":
        rest = " ".join(first) + " " + server.stdout.read()
        raise FledgeError(f"the virtual Crazyflie did not start: {rest.strip()}")
    return server, first[1]


def _stop(server: subprocess.Popen[str]) -> None:
    """Ask it to write its recording and end."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        server.kill()


def _lines(proof: CheckReport) -> Proof:
    lines = tuple(ProofLine(line.name, line.passed, line.detail) for line in proof.lines)
    return Proof(lines, proof.instructions, proof.microseconds, CLOCK)


def _finish(chain: Chain, report: Report) -> int:
    """Write the report and show the last screen."""
    folder, seconds = chain.folder, chain.watch.seconds
    save(report.log, folder / FILE)
    report = dataclasses.replace(
        report,
        wall_seconds=seconds,
        versions=versions(),
        command=" ".join(["fledge", *sys.argv[1:]]),
        created=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    )
    findings = write(folder, report)
    screen.say()
    hil.show(findings, report.log)
    phases = {**seconds, "all": sum(seconds.values())}
    screen.table("wall-clock", ("phase", "s"), ((name, f"{spent:.2f}") for name, spent in phases.items()))
    screen.say(f"report: {folder / 'report.html'}\nfiles:  {folder} (policy.npz, export/, flight.csv.gz, truth.csv.gz)")
    return 0 if findings.verdict.passed else 1
