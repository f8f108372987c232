"""The trained network in torch's own layers: an implementation that shares no text with ours."""

from __future__ import annotations

import numpy as np
import torch
from fledge_sim.policy import Float32, Policy

from fledge_export.layout import normaliser
from fledge_export.specification import Step

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU}


def torch_engine(policy: Policy) -> Step:
    """One native step by torch.nn.Linear and torch.nn.GRUCell, float32."""
    network, state_size = policy.contract.network, policy.contract.recurrent_size
    clip, scale = (torch.from_numpy(array) for array in normaliser(policy))
    output = _linear(policy, "output")
    cell, hidden = None, torch.nn.Sequential()
    if network.kind == "gru":
        cell = _cell(policy)
    else:
        for index in range(len(network.hidden)):
            hidden.extend([_linear(policy, f"dense{index}"), ACTIVATIONS[network.activation]()])

    @torch.inference_mode()
    def step(observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        x = torch.nan_to_num(torch.from_numpy(observation), nan=0.0).clamp(-clip, clip) * scale
        following = torch.from_numpy(state)
        if cell is not None:
            x = following = cell(x, following)
        total = output(hidden(x))
        action = torch.tanh(total) if network.squash == "tanh" else total.clamp(-1, 1)
        return action.numpy(), following.numpy().reshape(len(observation), state_size)

    return step


def _linear(policy: Policy, name: str) -> torch.nn.Linear:
    weight = policy.weights[f"{name}.weight"]
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({part: _tensor(policy.weights[f"{name}.{part}"]) for part in ("weight", "bias")})
    return layer


def _cell(policy: Policy) -> torch.nn.GRUCell:
    weight = policy.weights["gru.weight_input"]
    cell = torch.nn.GRUCell(weight.shape[1], policy.contract.recurrent_size)
    names = {
        "weight_ih": "weight_input",
        "weight_hh": "weight_hidden",
        "bias_ih": "bias_input",
        "bias_hh": "bias_hidden",
    }
    cell.load_state_dict({theirs: _tensor(policy.weights[f"gru.{ours}"]) for theirs, ours in names.items()})
    return cell


def _tensor(array: Float32) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
