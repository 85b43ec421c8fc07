"""Symmetric 3×3 matrices by the hundred thousand, held by component: closed forms, an array operation at a time.

A stack of E matrices is an array (6, E) of the components 00, 01, 02, 11, 12, 22, a stack of vectors is (3, E).
LAPACK called matrix by matrix takes ten times as long.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Row and column of every component."""
_AT = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])


def packed(matrix: Floats) -> Floats:
    """One 3×3 matrix as a stack of one, (6, 1)."""
    return np.array([[matrix[i, j]] for i, j in PAIRS])


def unpacked(stack: Floats) -> Floats:
    """(..., 3, 3) of a stack (6, ...)."""
    return np.moveaxis(stack[_AT], (0, 1), (-2, -1))


def outer(a: Floats) -> Floats:
    """a a' of every vector."""
    return np.stack([a[i] * a[j] for i, j in PAIRS])


def times(stack: Floats, vector: Floats) -> Floats:
    """Matrix by vector, (3, E)."""
    out = np.empty((3, np.broadcast_shapes(stack.shape[1:], vector.shape[1:])[0]))
    for i in range(3):
        np.multiply(stack[_AT[i, 0]], vector[0], out=out[i])
        for j in (1, 2):
            out[i] += stack[_AT[i, j]] * vector[j]
    return out


def dot(a: Floats, b: Floats) -> Floats:
    """Inner products, (E,)."""
    result: Floats = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return result


def trace(a: Floats, b: Floats) -> Floats:
    """Trace of the product of every two matrices, (E,)."""
    result: Floats = a[0] * b[0] + a[3] * b[3] + a[5] * b[5] + 2 * (a[1] * b[1] + a[2] * b[2] + a[4] * b[4])
    return result


def sandwich(outside: Floats, inside: Floats) -> Floats:
    """A B A for every two symmetric matrices, packed."""
    columns = [times(inside, outside[_AT[j]]) for j in range(3)]
    out = np.empty((6, columns[0].shape[1]))
    for at, (i, j) in enumerate(PAIRS):
        np.multiply(outside[_AT[i, 0]], columns[j][0], out=out[at])
        for k in (1, 2):
            out[at] += outside[_AT[i, k]] * columns[j][k]
    return out


def inverse(stack: Floats) -> tuple[Floats, Floats]:
    """Inverses, and determinants (E,), of positive definite matrices by cofactors."""
    a, b, c, d, e, f = stack
    out = np.empty_like(stack)
    for at, (p, q, r, s) in enumerate(
        ((d, f, e, e), (c, e, b, f), (b, e, c, d), (a, f, c, c), (b, c, a, e), (a, d, b, b))
    ):
        np.multiply(p, q, out=out[at])
        out[at] -= r * s
    determinant = a * out[0] + b * out[1] + c * out[2]
    out /= determinant
    return out, determinant


def inverted(matrix: Floats) -> Floats:
    """Inverse of one 3×3 matrix."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def summed(of: Ints, count: int, values: Floats) -> Floats:
    """Sums of (components, E) over the rows of each group, (components, count)."""
    return np.stack([np.bincount(of, row, count) for row in values])


def spread_out(matrix: Floats, count: int) -> Floats:
    """One 3×3 matrix as a stack of `count` that share their memory."""
    return np.broadcast_to(packed(matrix), (6, count))
