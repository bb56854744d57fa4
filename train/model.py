"""A compact DiffusionGemma for training on a CPU: the mathematics of transformers' class, laid out for speed.

Not for inference in earnest and not configurable beyond what the pocket model needs. The idea: transformers runs one
module call after the other in float32; here each of the two passes (encode, denoise) is one function that
torch.compile turns into a few fused loops around bf16 matrix products, and the experts are one custom operator that
sorts rows by expert. Parameters stay float32; query, key, value and gate, up are stored fused (`export.py` splits them).
Source: transformers, models/diffusion_gemma/modeling_diffusion_gemma.py. Checked against it by check.py, in float32.

Letters: B examples, P prompt rows (right-padded), L canvas rows, D width, H query heads, K key/value heads, Dh head
width, E experts, T experts per token, Fe expert width, V vocabulary, W sliding window.
"""
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

import experts


@dataclass
class Config:
    """Sizes of the pocket model; `layer_kinds` has one letter a layer: s(liding) or f(ull)."""
    V: int = 2048
    D: int = 128
    F: int = 256
    H: int = 4
    K: int = 2
    Dh: int = 32
    K_full: int = 1
    Dh_full: int = 64
    E: int = 8
    T: int = 2
    Fe: int = 128
    L: int = 64
    W: int = 64
    layer_kinds: str = "ssfssf"
    softcap: float = 30.0
    eps: float = 1e-6
    theta: dict = field(default_factory=lambda: {"s": 1e4, "f": 1e6})
    partial_full: float = 0.25

    def heads(self, kind):
        return (self.K, self.Dh) if kind == "s" else (self.K_full, self.Dh_full)

    to_dict = asdict


def rms(x, weight=None, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y if weight is None else y * weight


def linear(x, w, dtype):
    return F.linear(x.to(dtype), w.to(dtype))


class Layer(nn.Module):
    """One block. `scalar` is [2]: the encoder's and the decoder's layer_scalar."""

    def __init__(self, c: Config, kind: str):
        super().__init__()
        self.c, self.kind = c, kind
        K, Dh = c.heads(kind)
        D = c.D

        def weight(*shape):
            return nn.Parameter(torch.randn(*shape) * shape[-1] ** -0.5 * 0.6)

        self.qkv = weight((c.H + K * (2 if kind == "s" else 1)) * Dh, D)   # full layers: the value is the raw key
        self.o = weight(D, c.H * Dh)
        self.gate_up = weight(2 * c.F, D)
        self.down = weight(D, c.F)
        self.router = nn.Parameter(torch.randn(c.E, D) * 0.3)
        self.expert_gate_up = weight(c.E, 2 * c.Fe, D)
        self.expert_down = weight(c.E, D, c.Fe)
        self.q_norm, self.k_norm = nn.Parameter(torch.ones(Dh)), nn.Parameter(torch.ones(Dh))
        for name in ("input", "post_attention", "pre_feedforward", "post_feedforward", "post_feedforward_1",
                     "post_feedforward_2", "pre_feedforward_2", "router_scale"):
            setattr(self, name, nn.Parameter(torch.ones(D)))
        self.per_expert_scale = nn.Parameter(torch.ones(c.E))
        self.scalar = nn.Parameter(torch.ones(2))

    def forward(self, x, rope, mask, which, cache, dtype):
        """x [B, R, D] -> x, (k, v) of these rows [B, K, R, Dh], balance loss. `cache` = (k, v) to be read first."""
        c, (K, Dh) = self.c, self.c.heads(self.kind)
        B, R, D = x.shape
        qkv = linear(rms(x, self.input, c.eps), self.qkv, dtype).view(B, R, -1, Dh).float()
        q, k = rms(qkv[:, :, :c.H], self.q_norm, c.eps), rms(qkv[:, :, c.H:c.H + K], self.k_norm, c.eps)
        v = rms(qkv[:, :, c.H + K:] if self.kind == "s" else qkv[:, :, c.H:c.H + K], None, c.eps)
        q, k = (rotate(y, *rope).transpose(1, 2).to(dtype) for y in (q, k))
        v = v.transpose(1, 2).to(dtype)
        keys, values = (k, v) if cache is None else (torch.cat([a, b], 2) for a, b in zip(cache, (k, v)))
        a = attend(q, keys, values, mask).transpose(1, 2).reshape(B, R, -1)
        x = x + rms(linear(a, self.o, dtype).float(), self.post_attention, c.eps)

        gate, up = linear(rms(x, self.pre_feedforward, c.eps), self.gate_up, dtype).float().chunk(2, -1)
        m = linear(F.gelu(gate, approximate="tanh") * up, self.down, dtype).float()
        m = rms(m, self.post_feedforward_1, c.eps)

        flat = x.reshape(B * R, D)
        scores = F.linear(rms(flat, None, c.eps) * self.router_scale * D ** -0.5, self.router)
        probs = scores.softmax(-1)
        top, index = probs.topk(c.T, -1)
        top = top / top.sum(-1, keepdim=True) * self.per_expert_scale[index]
        e = experts.mix(rms(flat, self.pre_feedforward_2, c.eps).to(dtype), self.expert_gate_up.to(dtype),
                        self.expert_down.to(dtype), index, top)
        e = rms(e.view(B, R, D), self.post_feedforward_2, c.eps)
        x = (x + rms(m + e, self.post_feedforward, c.eps)) * self.scalar[which]
        share = torch.zeros(c.E, device=x.device).scatter_add(0, index.reshape(-1), torch.ones_like(top).reshape(-1))
        balance = c.E * (share / (B * R * c.T) * probs.mean(0)).sum()
        return x, (k, v), balance


def attend(q, keys, values, mask):
    """q [B, H, R, Dh], keys and values [B, K, S, Dh], mask [B, 1, R, S] -> [B, H, R, Dh]. The query heads that share a
    key head are rows of one product; torch's fused attention was twice as slow here (bf16, backward)."""
    B, H, R, Dh = q.shape
    K, S = keys.shape[1:3]
    scores = (q.reshape(B, K, H // K * R, Dh) @ keys.transpose(-1, -2)).float().view(B, K, H // K, R, S)
    p = scores.masked_fill(~mask[:, :, None], -1e9).softmax(-1).to(q.dtype)
    return (p.view(B, K, H // K * R, S) @ values).view(B, H, R, Dh)


def rotate(x, cos, sin):
    """x [B, R, heads, Dh], cos and sin [B, R, Dh]: half-split pairs."""
    a, b = x.chunk(2, -1)
    return x * cos[:, :, None] + torch.cat([-b, a], -1) * sin[:, :, None]


class Pocket(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed = nn.Parameter(torch.randn(c.V, c.D) * 0.04)
        self.layers = nn.ModuleList(Layer(c, kind) for kind in c.layer_kinds)
        self.norm = nn.Parameter(torch.ones(c.D))
        self.sc_norm = nn.Parameter(torch.ones(c.D))
        self.sc_gate_up = nn.Parameter(torch.randn(2 * c.F, c.D) * c.D ** -0.5 * 0.6)
        self.sc_down = nn.Parameter(torch.randn(c.D, c.F) * c.F ** -0.5 * 0.1)
        self.dtype = torch.bfloat16

    def rope(self, positions):
        """{kind: (cos, sin)}, each [B, R, Dh], for int positions [B, R]."""
        out = {}
        for kind in sorted(set(self.c.layer_kinds)):
            Dh = self.c.heads(kind)[1]
            i = torch.arange(Dh // 2, dtype=torch.float32)
            freq = self.c.theta[kind] ** (-2 * i / Dh)
            if kind == "f":
                freq = torch.where(i < int(self.c.partial_full * Dh // 2), freq, torch.zeros(()))
            angle = positions[..., None].float() * torch.cat([freq, freq])
            out[kind] = angle.cos(), angle.sin()
        return out

    def run(self, x, positions, masks, which, caches):
        rope = self.rope(positions)
        kv, balance = [], 0.0
        for i, layer in enumerate(self.layers):
            x, own, b = layer(x, rope[layer.kind], masks[layer.kind], which, caches and caches[i], self.dtype)
            kv.append(own)
            balance = balance + b
        return rms(x, self.norm, self.c.eps), kv, balance

    def encode(self, tokens, masks):
        """tokens [B, P] -> last hidden [B, P, D], [(k, v)] a layer, balance loss."""
        x = F.embedding(tokens, self.embed) * self.c.D ** 0.5
        positions = torch.arange(tokens.shape[1])[None].expand(tokens.shape)
        return self.run(x, positions, masks, 0, None)

    def denoise(self, canvas, soft, lengths, caches, masks):
        """canvas [B, L], soft [B, L, D] (zeros on a first step), lengths [B] of the prompts -> hidden, balance."""
        c = self.c
        x = F.embedding(canvas, self.embed) * c.D ** 0.5
        gate, up = linear(rms(soft, self.sc_norm, c.eps), self.sc_gate_up, self.dtype).float().chunk(2, -1)
        signal = linear(F.gelu(gate, approximate="tanh") * up, self.sc_down, self.dtype).float()
        x = rms(x + signal, None, c.eps)
        positions = lengths[:, None] + torch.arange(canvas.shape[1])[None]
        h, _, balance = self.run(x, positions, masks, 1, caches)
        return h, balance

    def logits(self, h):
        z = linear(h, self.embed, self.dtype).float()
        return self.c.softcap * torch.tanh(z / self.c.softcap)

    def soften(self, logits):
        """The self-conditioning input of the next step, from (processed) logits [B, L, V]."""
        p = logits.softmax(-1)
        return (p.to(self.dtype) @ self.embed.to(self.dtype)).float() * self.c.D ** 0.5


def encode_masks(lengths, P, W):
    """{kind: bool [B, 1, P, P]}: causal, padding never seen; sliding layers see W keys. True = seen."""
    i = torch.arange(P)
    causal = i[None, :] <= i[:, None]
    seen = causal[None] & ((i[None, None, :] < lengths[:, None, None]) | torch.eye(P, dtype=torch.bool)[None])
    near = i[None, :] > i[:, None] - W
    return {"f": seen[:, None], "s": (seen & near[None])[:, None]}


def denoise_masks(lengths, P, L, W):
    """{kind: bool [B, 1, L, P + L]}: the whole canvas, all cached keys (full) or the last W - 1 of them (sliding)."""
    i = torch.arange(P)
    full = i[None] < lengths[:, None]
    near = full & (i[None] >= lengths[:, None] - (W - 1))
    canvas = torch.ones(len(lengths), L, dtype=torch.bool)
    return {k: torch.cat([m, canvas], 1)[:, None, None, :].expand(-1, 1, L, -1) for k, m in (("f", full), ("s", near))}
