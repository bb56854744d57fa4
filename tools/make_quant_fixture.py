#!/usr/bin/env python3
"""Record what PyPI gguf's numpy code makes of quantised blocks, for tests/tensor/quant_test.cc.

    python3 tools/make_quant_fixture.py tests/data/tensor/quant

Needs the PyPI packages gguf and numpy. Writes, little endian:

    TYPE.decode    u32 number of values, the blocks, the decoded float32 values
    TYPE.encode    u32 number of values, the float32 values, the encoded blocks

Blocks are random bytes; in some of them the scales are replaced by the ends of binary16: the largest, subnormal,
negative zero, infinity, NaN.
"""
import struct
import sys
from pathlib import Path

import gguf
import numpy as np

Q = gguf.GGMLQuantizationType
# where the binary16 numbers of a block stand
SCALES = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q2_K: [80, 82], Q.Q3_K: [108],
          Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.IQ4_NL: [0], Q.IQ4_XS: [0], Q.F16: [0], Q.BF16: []}
ENDS = [0x7BFF, 0xFBFF, 0x0001, 0x83FF, 0x0400, 0x8000, 0x7C00, 0x7E00]


def decode_case(kind, rng):
    block_values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    count = {1: 256, 32: 20, 256: 5}[block_values]
    blocks = rng.integers(0, 256, size=(count, block_bytes), dtype=np.uint8)
    for i in range(min(len(ENDS), count // 2 * len(SCALES[kind]))):
        # a block with one scale at an end of the range; K-quants have few blocks, so both scales of one get an end
        block, place = (i, i) if block_values < 256 else (i // len(SCALES[kind]), i)
        at = SCALES[kind][place % len(SCALES[kind])]
        blocks[block, at:at + 2] = np.frombuffer(struct.pack("<H", ENDS[i]), dtype=np.uint8)
    for block in blocks[count // 2:]:  # the others: scales of usual sizes
        for at in SCALES[kind]:
            block[at:at + 2] = np.frombuffer(np.float16(rng.normal()).tobytes(), dtype=np.uint8)
    values = gguf.quants.dequantize(blocks.reshape(1, -1), kind).astype("<f4")
    assert values.size == count * block_values
    return struct.pack("<I", values.size) + blocks.tobytes() + values.tobytes()


def encode_case(kind, rng):
    scale = np.repeat(10.0 ** np.array([-6, -3, -1, 0, 0, 0, 1, 3, 4.5, 5.5, -9, 0]), 32)
    x = (rng.normal(size=scale.size) * scale).astype(np.float32)
    x[-32:] = 0
    x[64:96] = np.arange(-16, 16) / 2  # ties
    if kind in (Q.F16, Q.BF16):
        x[-8:] = [65504, 65519.996, 65520, 2.0**-24, 2.0**-25, 2.0**-14 - 2.0**-25, -0.0, 1 + 2.0**-11]
    with np.errstate(over="ignore"):
        blocks = gguf.quants.quantize(x.reshape(1, -1), kind)
    return struct.pack("<I", x.size) + x.astype("<f4").tobytes() + blocks.tobytes()


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with np.errstate(invalid="ignore", over="ignore"):
        for kind in SCALES:
            (out / f"{kind.name}.decode").write_bytes(decode_case(kind, np.random.default_rng(int(kind))))
        for kind in (Q.Q4_0, Q.Q8_0, Q.F16, Q.BF16):
            (out / f"{kind.name}.encode").write_bytes(encode_case(kind, np.random.default_rng(100 + int(kind))))


if __name__ == "__main__":
    main()
