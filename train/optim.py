"""Muon for the matrices, AdamW for everything else, and the running mean of the weights that is saved in the end.

Muon (Keller Jordan, 2024): the momentum of each matrix is replaced by the nearest orthogonal matrix, found by five
Newton-Schulz steps. Fused matrices are orthogonalised piece by piece (each expert, query, key, value, gate, up), and
all pieces of one shape in one batched product, since there are about 200 small ones.
"""
import torch


def orthogonal(g, steps=5):
    """Newton-Schulz with the quintic of the Muon reference; g [n, rows, cols], rows <= cols, bf16."""
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315) @ x
    return x


def pieces(name, p, c, kind):
    """The views [n, rows, cols] of a matrix parameter (or its gradient) that are orthogonalised separately."""
    if name.endswith("qkv"):
        K, Dh = c.heads(kind)
        return [v[None] for v in p.split([c.H * Dh] + [K * Dh] * (2 if kind == "s" else 1))]
    if name.endswith("gate_up"):
        return [p.reshape(-1, p.shape[-2] // 2, p.shape[-1])]
    return [p.reshape(-1, *p.shape[-2:])]


class Optimizer:
    def __init__(self, model, muon_lr=0.02, adam_lr=2e-3, embed_lr=3e-3, decay=0.02, ema=0.998):
        self.model, self.muon_lr, self.decay, self.ema_rate = model, muon_lr, decay, ema
        self.matrices, small = [], []
        for name, p in model.named_parameters():
            if p.dim() >= 2 and not name.endswith(("embed", "router")):
                kind = model.c.layer_kinds[int(name.split(".")[1])] if name.startswith("layers") else "s"
                self.matrices.append((name, p, kind, torch.zeros_like(p)))
            else:
                small.append((name, p))
        groups = [{"params": [p for n, p in small if n == "embed"], "lr": embed_lr},
                  {"params": [p for n, p in small if n != "embed"], "lr": adam_lr}]
        for g in groups:
            g["base"] = g["lr"]
        self.adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-10, weight_decay=0.0, fused=True)
        self.ema = [p.detach().clone() for p in model.parameters()]
        self.steps = 0

    @torch.no_grad()
    def step(self, factor):
        """One update with every learning rate times `factor`; clears the gradients."""
        self.steps += 1
        for g in self.adam.param_groups:
            g["lr"] = g["base"] * factor
        self.adam.step()
        grads, momenta = [m[1].grad for m in self.matrices], [m[3] for m in self.matrices]
        torch._foreach_lerp_(momenta, grads, 0.05)
        torch._foreach_lerp_(grads, momenta, 0.95)                                     # Nesterov
        by_shape = {}
        for (name, p, kind, _), g in zip(self.matrices, grads):
            for view, piece in zip(pieces(name, p, self.model.c, kind), pieces(name, g, self.model.c, kind)):
                wide = piece if piece.shape[1] <= piece.shape[2] else piece.transpose(1, 2)
                by_shape.setdefault(tuple(wide.shape[1:]), []).append((view, wide, wide is not piece))
        lr = self.muon_lr * factor
        for items in by_shape.values():
            update = orthogonal(torch.cat([w for _, w, _ in items]).bfloat16()).float()
            for (view, _, turned), u in zip(items, update.split([len(v) for v, _, _ in items])):
                u = u.transpose(1, 2) if turned else u
                view.mul_(1 - lr * self.decay).sub_(u, alpha=lr * max(1, view.shape[1] / view.shape[2]) ** 0.5)
        params = list(self.model.parameters())
        rate = min(self.ema_rate, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.ema, params, 1 - rate)
        self.model.zero_grad(set_to_none=True)

    def state(self):
        return {"adam": self.adam.state_dict(), "momenta": [m[3] for m in self.matrices], "ema": self.ema,
                "steps": self.steps}

    def load(self, state):
        bases = [(g["base"], g["lr"]) for g in self.adam.param_groups]
        self.adam.load_state_dict(state["adam"])
        for g, (base, lr) in zip(self.adam.param_groups, bases):
            g["base"], g["lr"] = base, lr
        for m, saved in zip(self.matrices, state["momenta"]):
            m[3].copy_(saved)
        self.ema, self.steps = state["ema"], state["steps"]
