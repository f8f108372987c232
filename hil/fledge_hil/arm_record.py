"""Flies one episode of an arm's policy in simulation and records it, with what the finger pads feel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from fledge_sim import arm_model, counter_random
from fledge_sim import policy as policies
from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_task import Task
from fledge_sim.arm_touch import ArmTouch
from fledge_sim.policy import Policy
from fledge_sim.tactile import pool
from fledge_train.arm_evaluate import Controller, Mover, worlds_of
from fledge_train.arm_worlds import ArmWorlds
from numpy.typing import NDArray

from fledge_hil.arm_recording import ArmRecording, PadFrame, Role, Setting, Shape

CELLS = (8, 10)
"""Of the recorded force field, across and along a pad."""
Float64 = NDArray[np.float64]


def record_policy(policy: Policy, name: str, seed: int = 0, robot: str | None = None) -> ArmRecording:
    """One episode in the worlds that the policy was trained for; `robot`: its arm's file, if the policy cannot say."""
    config = worlds_of(policy.contract, robot=robot)
    mover = Mover(partial(policies.forward, policy), policy.contract.recurrent_size)
    return record_episode(mover.act, config, name, seed, mover.begin)


def record_episode(
    controller: Controller,
    config: ArmConfig,
    name: str,
    seed: int = 0,
    begin: Callable[[int], None] = lambda n: None,
) -> ArmRecording:
    """The first episode of a world, up to its time limit or early end.

    Args:
        controller: observation (1, I) to actions (1, A).
        config: the world.
        name: of the controller, for whoever looks.
        seed: of the world.
        begin: is called with 1 before.
    """
    steps = config.episode_steps
    worlds = ArmWorlds(dataclasses.replace(config, episode_steps=steps + 1, staggered=False), 1, seed)
    begin(1)
    observation = worlds.reset().numpy()
    scene = _Scene(worlds, config, name, seed)
    rows = [scene.row(0.0)]
    for step in range(1, steps + 1):
        action = np.clip(controller(observation), -1, 1).astype(np.float32)
        after = worlds.step(torch.from_numpy(np.ascontiguousarray(action)))
        if bool(after.ended[0]):
            break
        rows.append(scene.row(step * config.period))
        observation = after.observation.numpy()
    return ArmRecording(scene.setting, np.array(rows, np.float32).astype(np.float64))  # as its file keeps it


class _Scene:
    """World 0 of an environment: what to write down of it."""

    def __init__(self, worlds: ArmWorlds, config: ArmConfig, name: str, seed: int) -> None:
        self._worlds, self._inner, self._config = worlds, worlds.environment.worlds, config
        plant = self._inner.plant
        self._mujoco: Any = plant.mujoco
        self._model: Any = self._mujoco.MjModel.from_xml_string(
            arm_model.mjcf(config.arm, config.task.model(config.arm, config.period / config.substeps))
        )
        for field in ("body_pos", "body_quat", "geom_pos"):
            getattr(self._model, field)[:] = plant.field(field)[0]
        self._data: Any = self._mujoco.MjData(self._model)
        self._touch = _pads(self._inner.task, config, seed) if config.task.holds else None
        self.setting = self._setting(name, seed)

    def _setting(self, name: str, seed: int) -> Setting:
        model, arm = self._model, self._config.arm
        names = [model.body(index).name or f"body{index}" for index in range(model.nbody)]
        box = self._mujoco.mjtGeom.mjGEOM_PLANE
        shapes = [_shape(self._mujoco, model, geom, names, arm.joints) for geom in range(model.ngeom)]
        drawn = [shape for geom, shape in enumerate(shapes) if model.geom_type[geom] != box]
        touch = self._touch
        return Setting(
            arm=arm.name,
            task=type(self._config.task).__name__.removesuffix("Task").lower(),
            policy=name,
            seed=seed,
            joints=tuple(joint.name for joint in arm.joints),
            bodies=tuple(dict.fromkeys(shape.body for shape in drawn)),
            shapes=tuple(drawn),
            pads=()
            if touch is None
            else tuple(_pad(model, site, names, touch) for site in ("pad_fixed", "pad_moving")),
            cells=CELLS,
            touch_cells=0 if touch is None else touch.sensor.model.cells,
        )

    def row(self, time: float) -> Float64:
        """Now."""
        state = self._inner.state(slice(None))
        score = self._inner.task.score(state, self._worlds.environment.level)
        tip = state.tip[0]
        goal = self._inner.task.goal(state.tip, slice(None))[0, :3] + tip
        parts = [[time], tip, goal, score.distance, score.success, state.q[0], state.target[0]]
        self._data.qpos[:] = self._inner.plant.qpos[0]
        self._mujoco.mj_kinematics(self._model, self._data)
        for body in self.setting.bodies:
            index = self._model.body(body).id
            parts += [self._data.xpos[index].copy(), self._data.xquat[index].copy()]
        if self._touch is not None:
            if time > 0:
                self._inner.task.feel(self._touch)
            parts += [pool(self._touch.force[0], CELLS).ravel(), self._touch.pooled[0]]
        return np.concatenate([np.asarray(part, np.float64) for part in parts])


def _pads(task: Task, config: ArmConfig, seed: int) -> ArmTouch:
    """Pads of the recorder's own, for policies that have none; those of the environment have the same."""
    touch = task.touch(config.period, 1)
    touch.identify(counter_random.identities(seed, np.zeros(1, np.uint32)))
    task.touched(touch, np.zeros(1, np.intp))
    return touch


def _shape(mujoco: Any, model: Any, geom: int, names: list[str], joints: Any) -> Shape:
    body = int(model.geom_bodyid[geom])
    return Shape(
        body=names[body],
        kind=mujoco.mjtGeom(model.geom_type[geom]).name.removeprefix("mjGEOM_").lower(),
        size=_three(model.geom_size[geom]),
        position=_three(model.geom_pos[geom]),
        quaternion=_four(model.geom_quat[geom]),
        role=_role(model, geom, {joint.name for joint in joints}, names),
    )


def _role(model: Any, geom: int, links: set[str], names: list[str]) -> Role:
    if model.geom(geom).name.startswith("pad_"):
        return "pad"
    body = int(model.geom_bodyid[geom])
    if names[body] in links or names[body] == "base":
        return "arm"
    while body:
        if model.body_dofnum[body] and names[body] not in links:
            return "object"
        body = int(model.body_parentid[body])
    return "scene"


def _pad(model: Any, site: str, names: list[str], touch: ArmTouch) -> PadFrame:
    index = model.site(site).id
    pad = touch.field.pad
    frame = _three(model.site_pos[index]), _four(model.site_quat[index])
    return PadFrame(names[int(model.site_bodyid[index])], *frame, pad.length, pad.width)


def _three(values: Any) -> tuple[float, float, float]:
    a, b, c = map(float, values)
    return a, b, c


def _four(values: Any) -> tuple[float, float, float, float]:
    a, b, c, d = map(float, values)
    return a, b, c, d
