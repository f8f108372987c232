"""Arrays of affine forms: what a graph computes, written as  c + sum_k L_k v_k  over variables v_k.

A variable is an input element, the result of a nonlinear function of an earlier form, or a product of two forms. Sums,
matrix products and every rearrangement keep the form, so that whatever stands between two nonlinear functions (a
normaliser, two layers in a row, reshapes) collapses into one matrix, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """An array of affine forms."""

    linear: Float64
    """L, (..., K): K variables existed when it was made; later ones have coefficient 0."""
    offset: Float64
    """c, (...)"""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.offset.shape

    def flat(self) -> Form:
        """The same forms in one row."""
        return Form(self.linear.reshape(self.offset.size, self.linear.shape[-1]), self.offset.ravel())

    def take(self, index: NDArray[np.integer]) -> Form:
        """Elements by flat index."""
        flat = self.flat()
        return Form(flat.linear[index], flat.offset[index])

    def over(self, count: int) -> Float64:
        """L for `count` variables."""
        missing = count - self.linear.shape[-1]
        return np.concatenate([self.linear, np.zeros((*self.shape, missing))], axis=-1) if missing else self.linear


@dataclass(frozen=True, eq=False)
class Block:
    """Variables that one node made."""

    kind: str
    """input, tanh, relu, elu, sigmoid, clip, product (of two forms), monomial (of two variables), or foreign"""
    node: str
    """For messages."""
    start: int
    size: int
    operands: tuple[Form, ...] = ()
    """Flat."""
    limits: tuple[Float64, Float64] | None = None
    """Of a clip."""

    @property
    def slice(self) -> slice:
        """Its variables."""
        return slice(self.start, self.start + self.size)


@dataclass
class Variables:
    """All variables so far, in the order in which they came up."""

    blocks: list[Block] = field(default_factory=list)
    low: Float64 = field(default_factory=lambda: np.zeros(0))
    """Smallest value of each, (K,)"""
    high: Float64 = field(default_factory=lambda: np.zeros(0))
    _monomials: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """K"""
        return self.low.size

    def add(
        self,
        kind: str,
        node: str,
        shape: Sequence[int],
        *operands: Form,
        limits: tuple[Float64, Float64] | None = None,
        bounds: tuple[Float64 | float, Float64 | float] = (-np.inf, np.inf),
    ) -> Form:
        """New variables, as forms of the given shape."""
        size = int(np.prod(shape, dtype=int))
        self._append(Block(kind, node, self.count, size, tuple(form.flat() for form in operands), limits), bounds)
        linear = np.eye(size, self.count, self.count - size)
        return Form(linear.reshape(*shape, self.count), np.zeros(tuple(shape)))

    def _append(self, block: Block, bounds: tuple[Float64 | float, Float64 | float]) -> None:
        self.blocks.append(block)
        low, high = (np.broadcast_to(bound, block.size) for bound in bounds)
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])

    def range(self, form: Form) -> tuple[Float64, Float64]:
        """Smallest and largest value of each element that the variables' bounds allow."""
        linear = form.linear
        low, high = self.low[: linear.shape[-1]], self.high[: linear.shape[-1]]
        with np.errstate(invalid="ignore"):
            least = np.where(linear > 0, linear * low, np.where(linear < 0, linear * high, 0.0))
            most = np.where(linear > 0, linear * high, np.where(linear < 0, linear * low, 0.0))
        return form.offset + least.sum(axis=-1), form.offset + most.sum(axis=-1)

    def sources(self, form: Form) -> list[Block]:
        """Blocks of which at least one variable has a coefficient."""
        used = np.abs(form.flat().linear).sum(axis=0) != 0
        return [block for block in self.blocks if used[block.slice].any()]

    def multiply(self, a: Form, b: Form, node: str) -> Form:
        """Elementwise product. Of differences of variables: in monomials, so that (1 - z) c + z h has one spelling."""
        if not (_simple(a) and _simple(b)):
            return self.add("product", node, a.shape, a, b)
        rows = [self._expand(x, y, node) for x, y in zip(_terms(a), _terms(b), strict=True)]
        linear, offset = np.zeros((len(rows), self.count)), np.zeros(len(rows))
        for row, terms in enumerate(rows):
            for variable, coefficient in terms:
                if variable < 0:
                    offset[row] += coefficient
                else:
                    linear[row, variable] += coefficient
        return Form(linear.reshape(*a.shape, self.count), offset.reshape(a.shape))

    def _expand(self, a: list[tuple[int, float]], b: list[tuple[int, float]], node: str) -> list[tuple[int, float]]:
        return [(self._monomial(i, j, node), x * y) for i, x in a for j, y in b]

    def _monomial(self, i: int, j: int, node: str) -> int:
        """Variable that is v_i v_j; index -1 is the constant 1."""
        low, high = sorted((i, j))
        if low < 0:
            return high
        if (low, high) not in self._monomials:
            self._monomials[low, high] = self.count
            self._append(Block("monomial", node, self.count, 1), (-np.inf, np.inf))
        return self._monomials[low, high]

    def monomial(self, i: int, j: int) -> int | None:
        """Variable that is v_i v_j, if it came up."""
        return self._monomials.get((min(i, j), max(i, j)))


def add(a: Form, b: Form, sign: float = 1.0) -> Form:
    """a + sign b, broadcast."""
    count = max(a.linear.shape[-1], b.linear.shape[-1])
    rank = max(a.offset.ndim, b.offset.ndim)
    left, right = (
        form.over(count).reshape((1,) * (rank - form.offset.ndim) + form.shape + (count,)) for form in (a, b)
    )
    return Form(left + sign * right, a.offset + sign * b.offset)


def scale(form: Form, factor: Float64) -> Form:
    """Elementwise product with a constant, broadcast."""
    offset = form.offset * factor
    linear = form.linear.reshape((1,) * (offset.ndim - form.offset.ndim) + form.linear.shape)
    return Form(linear * factor[..., None], offset)


def broadcast(form: Form, shape: tuple[int, ...]) -> Form:
    """To a larger shape."""
    index = np.broadcast_to(np.arange(form.offset.size).reshape(form.shape), shape)
    return form.take(index)


def matrix_product(form: Form, matrix: Float64) -> Form:
    """x W for forms (..., I) and a matrix (I, O)."""
    return Form(np.einsum("...ik,io->...ok", form.linear, matrix), form.offset @ matrix)


def constant(value: Float64, variables: Variables) -> Form:
    """Numbers as forms."""
    return Form(np.zeros((*value.shape, variables.count)), value)


def _simple(form: Form) -> bool:
    """Every element is a variable, a difference of two, or one minus a variable."""
    plain = np.isin(form.linear, (-1.0, 0.0, 1.0)).all() and np.isin(form.offset, (0.0, 1.0)).all()
    return bool(plain and ((form.linear != 0).sum(axis=-1) <= 2).all())


def _terms(form: Form) -> list[list[tuple[int, float]]]:
    """Per element: (variable, coefficient), the constant as variable -1."""
    flat = form.flat()
    return [
        [(int(k), float(row[k])) for k in np.flatnonzero(row)] + ([(-1, float(c))] if c else [])
        for row, c in zip(flat.linear, flat.offset, strict=True)
    ]
