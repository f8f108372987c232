"""What is said when a model cannot become a policy."""

from __future__ import annotations

from typing import Any

from fledge_sim.errors import FledgeError

POLICY = "a policy is made of dense layers with tanh, relu or elu, or of one GRU and a dense layer"


class OnnxImportError(FledgeError):
    """A model that cannot become a policy; the sentence names the node, and why."""

    def __init__(self, sentence: str) -> None:
        """On one line, whatever a damaged file holds as a name."""
        super().__init__(" ".join(sentence.split()))


def label(node: Any) -> str:
    """How a node is named in messages."""
    return f"node '{node.name or node.output[0]}' ({node.op_type})"


def unsupported(node: Any, reason: str) -> OnnxImportError:
    """The node cannot be read."""
    return OnnxImportError(f"{label(node)} cannot become part of a policy: {reason}")
