"""The mixture of experts as one operator: rows sorted by expert, one matrix product an expert, forward and backward.

torch.compile treats it as a black box (the row counts depend on the data). Each expert's rows start at a multiple of
128 and their number is rounded up, so that the matrix library meets few different shapes and can reuse its kernels.
Padding rows repeat row 0 and take no part in the result or the gradients.
Source: DiffusionGemmaTextExperts in transformers. Checked by check.py.

Letters: N rows, T experts a row, E experts, S = sorted slots (N*T rounded up expert by expert), Fe expert width.
"""
import torch
import torch.nn.functional as F

GRAIN = 128


def act(h):
    gate, up = h.float().chunk(2, -1)
    return (F.gelu(gate, approximate="tanh") * up).to(h.dtype)


def act_backward(h, g):
    """Gradient of `act` at h [S, 2 Fe] for the incoming gradient g [S, Fe]."""
    x, up = h.float().chunk(2, -1)
    g = g.float()
    c = 0.7978845608028654
    t = torch.tanh(c * (x + 0.044715 * x * x * x))
    gelu = 0.5 * x * (1 + t)
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)
    return torch.cat([g * up * slope, g * gelu], -1).to(h.dtype)


def combine(y, slot, weight):
    """out [N, D] f32 = sum over the T slots of each row."""
    N, T = weight.shape
    return (y[slot].view(N, T, -1).float() * weight[..., None]).sum(1)


def scatter_gradient(g, row_of, weight_of):
    return g[row_of] * weight_of[:, None]


def combine_backward(y, slot, g):
    N = g.shape[0]
    return (y[slot].view(N, -1, g.shape[-1]).float() * g[:, None]).sum(-1)


FUSED = {}
COMPILE = False          # train.py switches this on; elsewhere shapes change too often for it to pay


def fused(f):
    """The compiled form of a helper; compiled once, for all layers."""
    if COMPILE and f not in FUSED:
        FUSED[f] = torch.compile(f, dynamic=False)
    return FUSED[f] if COMPILE else f


def layout(index, E):
    """Where each (row, choice) goes: slot [N*T], start and end of each expert's slots, row of each slot [S]."""
    flat = index.reshape(-1)
    n = flat.numel()
    counts = torch.bincount(flat, minlength=E)
    padded = (counts + GRAIN - 1) // GRAIN * GRAIN
    ends = padded.cumsum(0)
    order = flat.argsort(stable=True)
    sorted_e = flat[order]
    first = counts.cumsum(0) - counts
    dest = (ends - padded)[sorted_e] + torch.arange(n) - first[sorted_e]
    slots = n + E * GRAIN
    slot = torch.empty(n, dtype=torch.int64)
    slot[order] = dest
    choice_of = torch.full((slots,), -1, dtype=torch.int64)
    choice_of[dest] = order
    ends = ends.tolist()
    return slot, list(zip([0] + ends[:-1], ends)), choice_of


@torch.library.custom_op("pocket::experts", mutates_args=())
def experts_op(x: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, index: torch.Tensor,
               weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor,
                                              torch.Tensor]:
    """-> out [N, D] f32, then what backward needs: sorted rows xs, h, y, slot, choice_of."""
    E, (N, T) = gate_up.shape[0], index.shape
    slot, spans, choice_of = layout(index, E)
    xs = x[(choice_of // T).clamp(min=0)]
    h = x.new_zeros(len(choice_of), gate_up.shape[1])
    y = x.new_zeros(len(choice_of), x.shape[1])
    for e, (s, t) in enumerate(spans):
        if t > s:
            torch.mm(xs[s:t], gate_up[e].t(), out=h[s:t])
    a = fused(act)(h)
    for e, (s, t) in enumerate(spans):
        if t > s:
            torch.mm(a[s:t], down[e].t(), out=y[s:t])
    return fused(combine)(y, slot, weight), xs, h, y, slot, choice_of


@experts_op.register_fake
def _(x, gate_up, down, index, weight):
    n = index.numel()
    s = n + gate_up.shape[0] * GRAIN
    i = dict(dtype=torch.int64, device=x.device)
    return (x.new_empty(x.shape, dtype=torch.float32), x.new_empty(s, x.shape[1]), x.new_empty(s, gate_up.shape[1]),
            x.new_empty(s, x.shape[1]), torch.empty(n, **i), torch.empty(s, **i))


@torch.library.custom_op("pocket::experts_backward", mutates_args=())
def experts_backward_op(g: torch.Tensor, xs: torch.Tensor, h: torch.Tensor, y: torch.Tensor, slot: torch.Tensor,
                        choice_of: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, index: torch.Tensor,
                        weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    E, (N, T) = gate_up.shape[0], index.shape
    counts = torch.bincount(index.reshape(-1), minlength=E)
    ends = ((counts + GRAIN - 1) // GRAIN * GRAIN).cumsum(0).tolist()
    g_weight = fused(combine_backward)(y, slot, g)
    weight_of = torch.where(choice_of >= 0, weight.reshape(-1)[choice_of.clamp(min=0)], torch.zeros(()))
    gy = fused(scatter_gradient)(g, (choice_of // T).clamp(min=0), weight_of).to(xs.dtype)
    a = fused(act)(h)
    ga, gxs = torch.zeros_like(a), torch.zeros_like(xs)
    g_down, g_gate_up = torch.zeros_like(down), torch.zeros_like(gate_up)
    spans = list(zip([0] + ends[:-1], ends))
    for e, (s, t) in enumerate(spans):
        if t > s:
            torch.mm(gy[s:t], down[e], out=ga[s:t])
            torch.mm(gy[s:t].t(), a[s:t], out=g_down[e])
    gh = fused(act_backward)(h, ga)
    for e, (s, t) in enumerate(spans):
        if t > s:
            torch.mm(gh[s:t], gate_up[e], out=gxs[s:t])
            torch.mm(gh[s:t].t(), xs[s:t], out=g_gate_up[e])
    gx = fused(combine)(gxs, slot, torch.ones_like(weight)).to(xs.dtype)
    return gx, g_gate_up, g_down, g_weight


@experts_backward_op.register_fake
def _(g, xs, h, y, slot, choice_of, gate_up, down, index, weight):
    return (xs.new_empty(g.shape), torch.empty_like(gate_up), torch.empty_like(down), torch.empty_like(weight))


def keep(ctx, inputs, output):
    _, gate_up, down, index, weight = inputs
    ctx.save_for_backward(*output[1:], gate_up, down, index, weight)


def backward(ctx, g, *_):
    gx, g_gate_up, g_down, g_weight = experts_backward_op(g.contiguous(), *ctx.saved_tensors)
    return gx, g_gate_up, g_down, None, g_weight


experts_op.register_autograd(backward, setup_context=keep)


def mix(x, gate_up, down, index, weight):
    """sum over a row's experts of weight * expert(x): x [N, D], index and weight [N, T] -> [N, D] f32."""
    return experts_op(x, gate_up, down, index, weight)[0]
