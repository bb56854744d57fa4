"""The official sampler over the compact model, many conversations at once, with the dice of the engine.

Entropy-bounded acceptance, renoising, self-conditioning and adaptive stopping as in transformers'
generation_diffusion_gemma.py, one canvas per answer (all answers of the pocket model fit one). The random numbers are
the engine's counter-based ones (docs/MODEL.md), so that a seed means the same answer here, in
transformers run by evaluate.py, and in dgemma, up to rounding. Checked by: check.py.
"""
import numpy as np
import torch

import model as M

# What the pocket model is saved with. t_max is 0.8 in the published model; 1.1 is warm enough here to leave a grid that
# breaks a rule (on 250 other puzzles of 8 to 12 givens: 0.8 solves 218, 1.0 224, 1.2 228), and costs texts few steps.
DEFAULTS = dict(max_denoising_steps=48, t_min=0.4, t_max=1.1, entropy_bound=0.1, stability_threshold=1,
                confidence_threshold=0.005)
INITIAL, SAMPLE, RENOISE = 0, 1, 2
U32, S32 = np.uint64(0xFFFFFFFF), np.uint64(32)


def words(seeds, purpose, canvas, step, rows):
    """The 64-bit words of Philox4x32-10 for seeds [n] and rows 0..rows-1: uint64 [n, rows]."""
    seeds = np.asarray(seeds, np.uint64)[:, None] + np.zeros((1, rows), np.uint64)
    c = [np.zeros_like(seeds) + np.arange(rows, dtype=np.uint64)[None], np.full_like(seeds, step),
         np.full_like(seeds, canvas), np.full_like(seeds, purpose)]
    k = [seeds & U32, seeds >> S32]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> S32) ^ c[1] ^ k[0], p1 & U32, (p0 >> S32) ^ c[3] ^ k[1], p0 & U32]
        k = [(k[0] + np.uint64(0x9E3779B9)) & U32, (k[1] + np.uint64(0xBB67AE85)) & U32]
    return c[0] | c[1] << S32


def random_tokens(w, V):
    """(w * V) >> 64 in 128-bit arithmetic, from 32-bit halves."""
    V = np.uint64(V)
    return torch.from_numpy((((w >> S32) * V + ((w & U32) * V >> S32)) >> S32).astype(np.int64))


def random_reals(w):
    return torch.from_numpy((w >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def choose(p, u):
    """The smallest token whose prefix sum exceeds u times the total: p [n, L, V], u [n, L]."""
    cdf = p.double().cumsum(-1)
    return (cdf <= (u * cdf[..., -1])[..., None]).sum(-1).clamp(max=p.shape[-1] - 1)


def accept(entropy, bound):
    """Rows in ascending entropy while the sum of those before stays within the bound: bool [n, L]."""
    ordered, index = entropy.sort(-1)
    return torch.zeros_like(entropy, dtype=torch.bool).scatter(-1, index, ordered.cumsum(-1) - ordered <= bound)


@torch.no_grad()
def answer_batch(pocket, prompts, seeds, options=None):
    """-> (canvases [n][L], steps [n]) for prompts of about one length."""
    o, c = {**DEFAULTS, **(options or {})}, pocket.c
    N, V, L = o["max_denoising_steps"], c.V, c.L
    lengths = torch.tensor([len(p) for p in prompts])
    P = int(lengths.max())
    tokens = torch.tensor([p + [0] * (P - len(p)) for p in prompts])
    _, kv, _ = pocket.encode(tokens, M.encode_masks(lengths, P, c.W))
    masks = M.denoise_masks(lengths, P, L, c.W)
    seeds = np.asarray(seeds, np.uint64)
    alive = torch.arange(len(prompts))
    canvas = random_tokens(words(seeds, INITIAL, 0, 0, L), V)
    soft = torch.zeros(len(prompts), L, c.D)
    last = torch.full((len(prompts), L), -1)
    steps = torch.zeros(len(prompts), dtype=torch.int64)
    for step in range(N):
        h, _ = pocket.denoise(canvas, soft, lengths[alive], [(k[alive], v[alive]) for k, v in kv],
                              {k: m[alive] for k, m in masks.items()})
        z = pocket.logits(h) / (o["t_min"] + (o["t_max"] - o["t_min"]) * (N - step) / N)
        logp = z.log_softmax(-1)
        p = logp.exp()
        entropy, best = -(p * logp).sum(-1), z.argmax(-1)
        s = seeds[alive.numpy()]
        sample = choose(p, random_reals(words(s, SAMPLE, 0, step, L)))
        canvas = torch.where(accept(entropy, o["entropy_bound"]), sample,
                             random_tokens(words(s, RENOISE, 0, step, L), V))
        soft = pocket.soften(z)
        steps[alive] += 1
        done = (best == last[alive]).all(1) & (entropy.mean(1) < o["confidence_threshold"])
        last[alive] = best
        alive, canvas, soft = alive[~done], canvas[~done], soft[~done]
        if not len(alive):
            break
    return last.tolist(), steps.tolist()


def answers(pocket, prompts, seeds, options=None, batch=100):
    """The same for any prompts: sorted by length, `batch` at a time, results in the order given."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    canvases, steps = [None] * len(prompts), [0] * len(prompts)
    for start in range(0, len(order), batch):
        part = order[start:start + batch]
        some, n = answer_batch(pocket, [prompts[i] for i in part], [seeds[i] for i in part], options)
        for i, c, s in zip(part, some, n):
            canvases[i], steps[i] = c, s
    return canvases, steps
