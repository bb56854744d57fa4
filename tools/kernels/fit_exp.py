#!/usr/bin/env python3
"""Prints the coefficients of src/kernels/lanes.inc's exponential.

q(r) = (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, a polynomial of degree 4 fitted by Lawson's reweighted least squares
(which tends to the minimax fit) against double precision, then rounded to float32. Run by hand; needs numpy.
"""
import numpy as np

half = np.log(2) / 2 * 1.001
r = half * np.cos(np.linspace(0, np.pi, 4001))
series = sum(r**i / np.prod(np.arange(1, i + 3), dtype=float) for i in range(14))  # no cancellation near zero
vander = np.vander(r, 5, increasing=True)
scale = r**2 / np.exp(r)  # the error of q as a relative error of exp
weight = np.ones_like(r)
for _ in range(500):
    w = np.sqrt(weight)
    q, *_ = np.linalg.lstsq(vander * (w * scale)[:, None], series * w * scale, rcond=None)
    error = np.abs((vander @ q - series) * scale)
    weight = weight * (error + 1e-30)
    weight /= weight.sum()
rounded = q.astype(np.float32)
error = np.abs((vander @ rounded.astype(float) - series) * scale).max()
for i, value in enumerate(rounded):
    print(f"q{i} = {float(value).hex()} = {value:.9g}")
print(f"largest relative error of exp from the fit: {error:.2e} = {error * 2**24:.3f} * 2^-24")
