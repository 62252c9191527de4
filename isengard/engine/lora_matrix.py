"""Matrices of LoRA files as they are stored, bf16 among them: read, cut, stacked, scaled and compared. numpy, no torch.

Cutting and stacking move bits and never round; only `scaled` computes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from isengard.engine.lora_header import Entry

Array: TypeAlias = NDArray[Any]
STORED: dict[str, np.dtype[Any]] = {
    "BF16": np.dtype("<u2"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
EXPONENT, SIGNLESS = 0x7F80, 0x7FFF  # of a bf16, which numpy knows only as 16 bits


@dataclass(frozen=True)
class Matrix:
    """`bits` has the matrix's shape; its numbers are those of `dtype` (safetensors' name), bf16 kept as uint16."""

    dtype: str
    bits: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.bits.shape

    def rows(self, begin: int, end: int) -> "Matrix":
        return Matrix(self.dtype, self.bits[begin:end])

    def columns(self, begin: int, end: int) -> "Matrix":
        return Matrix(self.dtype, self.bits[:, begin:end])


def read(path: Path, entry: Entry) -> Matrix:
    """A tensor of a file whose header was checked, mapped and not copied."""
    kind = STORED[entry.dtype]
    flat = np.memmap(path, kind, "r", offset=entry.begin, shape=(math.prod(entry.shape),))
    return Matrix(entry.dtype, flat.reshape(entry.shape))


def is_finite(matrix: Matrix) -> bool:
    if matrix.dtype == "BF16":
        return bool(((matrix.bits & EXPONENT) != EXPONENT).all())
    return bool(np.isfinite(matrix.bits).all())


def is_zero(matrix: Matrix) -> bool:
    bits = matrix.bits & SIGNLESS if matrix.dtype == "BF16" else matrix.bits
    return not bits.any()


def is_same(one: Matrix, other: Matrix) -> bool:
    return one.dtype == other.dtype and np.array_equal(one.bits, other.bits)


def floats(matrix: Matrix) -> NDArray[np.float32]:
    """The numbers as float32, which holds every bf16 and fp16 exactly."""
    if matrix.dtype == "BF16":
        return (matrix.bits.astype(np.uint32) << 16).view(np.float32)
    return matrix.bits.astype(np.float32)


def of_floats(numbers: NDArray[np.float32], dtype: str) -> Matrix:
    """Rounded to the nearest number of `dtype`, ties to even as torch does; beyond its range: infinite."""
    if dtype != "BF16":
        with np.errstate(over="ignore"):
            return Matrix(dtype, numbers.astype(STORED[dtype]))
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # Adding to a NaN's bits could carry it into a number.
    return Matrix(dtype, np.where(np.isnan(numbers), 0x7FC0, rounded).astype(np.uint16))


def scaled(matrix: Matrix, factor: float) -> Matrix:
    return matrix if factor == 1 else of_floats(floats(matrix) * np.float32(factor), matrix.dtype)


def alike(matrices: Sequence[Matrix]) -> list[Matrix]:
    """All in one number format: their own where they agree, else float32."""
    if len({matrix.dtype for matrix in matrices}) == 1:
        return list(matrices)
    return [Matrix("F32", floats(matrix)) for matrix in matrices]


def stacked(matrices: Sequence[Matrix]) -> Matrix:
    """One below the other."""
    same = alike(matrices)
    return Matrix(same[0].dtype, np.concatenate([matrix.bits for matrix in same]))


def diagonal(matrices: Sequence[Matrix]) -> Matrix:
    """Along the diagonal, zero elsewhere."""
    same = alike(matrices)
    height, width = (sum(matrix.shape[axis] for matrix in same) for axis in (0, 1))
    whole = np.zeros((height, width), same[0].bits.dtype)
    top = left = 0
    for matrix in same:
        whole[top : top + matrix.shape[0], left : left + matrix.shape[1]] = matrix.bits
        top, left = top + matrix.shape[0], left + matrix.shape[1]
    return Matrix(same[0].dtype, whole)


def wider(matrix: Matrix, columns: int) -> Matrix:
    """With so many columns of zeros more."""
    return Matrix(matrix.dtype, np.pad(matrix.bits, ((0, 0), (0, columns))))


def zeros(height: int, width: int, dtype: str) -> Matrix:
    return Matrix(dtype, np.zeros((height, width), STORED[dtype]))


def scalar(value: float) -> Matrix:
    """α as sd-scripts writes it: a tensor without dimensions."""
    return Matrix("F32", np.array(value, np.float32))
