"""Trains the pocket model. Runs for hours in the background; everything it needs to go on is in its checkpoint.

The objective is the official one: t uniform in (0, 1), each token of the canvas replaced by a uniformly random one with
probability t, cross entropy on the whole canvas, padding included; self-conditioning for half of the canvases, from a
first pass without gradient; the encoder's causal loss on the text of conversations. Each prompt is encoded once for
two canvases, one with self-conditioning and one without, whose t are half a unit apart.
The learning rate is constant and then falls linearly to zero, by the clock: --fall HH:MM --end HH:MM (UTC). The run
of the committed model is in README.md.

    python3 train.py WORK_DIR --chains CHAINS.npz --tokenizer tokenizer.json --template chat_template.jinja
                     --fall 09:40 --end 10:05 [--resume CHECKPOINT_OR_MODEL_FOLDER]
"""
import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch
import torch.nn.functional as F

import data
import evaluate
import experts
import model as M
import optim
import sudoku


torch._dynamo.config.recompile_limit = 32   # one compiled shape for each group and pass


class Steps:
    """The compiled functions of one training step."""

    def __init__(self, pocket, copies):
        self.pocket, self.copies = pocket, copies
        experts.COMPILE = True
        self.encode = torch.compile(pocket.encode, dynamic=False)
        self.denoise = torch.compile(pocket.denoise, dynamic=False)
        self.soften = torch.compile(lambda h, tau: pocket.soften(pocket.logits(h) / tau), dynamic=False)
        self.canvas_loss = torch.compile(self._canvas_loss, dynamic=False)
        self.causal_loss = torch.compile(self._causal_loss, dynamic=False)

    def _canvas_loss(self, h, target):
        return F.cross_entropy(self.pocket.logits(h).flatten(0, 1), target.flatten(), reduction="none").view(target.shape)

    def _causal_loss(self, h, tokens, counted):
        z = self.pocket.logits(h[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(z, tokens[:, 1:].flatten(), reduction="none").view(counted.shape)
        return (loss * counted).sum() / counted.sum().clamp(min=1)

    def group(self, tokens, lengths, clean, causal_rows):
        """Losses of one group of prompts: canvas loss a row [B * copies], causal loss of the last `causal_rows`
        prompts, balance loss."""
        c, copies, (B, P) = self.pocket.c, self.copies, tokens.shape
        h, kv, balance = self.encode(tokens, M.encode_masks(lengths, P, c.W))
        kv = [(k.repeat_interleave(copies, 0), v.repeat_interleave(copies, 0)) for k, v in kv]
        lengths2 = lengths.repeat_interleave(copies)
        masks = M.denoise_masks(lengths2, P, c.L, c.W)
        noisy = corrupt(clean, copies, c.V)
        with torch.no_grad():
            few = [(k[::2], v[::2]) for k, v in kv]
            h1, _ = self.denoise(noisy[::2], torch.zeros(len(noisy[::2]), c.L, c.D), lengths2[::2], few,
                                 {k: m[::2] for k, m in masks.items()})
            soft = torch.zeros(len(noisy), c.L, c.D)
            soft[::2] = self.soften(h1, 0.5 + 0.5 * torch.rand(len(h1), 1, 1))
        h2, balance2 = self.denoise(noisy, soft, lengths2, kv, masks)
        loss = self.canvas_loss(h2, clean).mean(1)
        causal = h.new_zeros(())
        if causal_rows:
            rows = slice(B - causal_rows, B)
            counted = torch.arange(1, P)[None] < lengths[rows, None]
            causal = self.causal_loss(h[rows], tokens[rows], counted.float())
        return loss, causal, balance + balance2


def corrupt(clean, copies, V):
    """Replaces tokens with probability t; the t of a batch are spread evenly, those of one prompt's canvases too."""
    n = len(clean) // copies
    u = (torch.randperm(n)[:, None] + torch.rand(n, 1)) / n
    t = ((u + torch.arange(copies)[None] / copies) % 1).gather(1, torch.rand(n, copies).argsort(1)).reshape(-1, 1)
    return torch.where(torch.rand(clean.shape) < t, torch.randint(0, V, clean.shape), clean)


def clock(text):
    """Seconds since the epoch of the next HH:MM (UTC), at most 12 hours back."""
    h, m = map(int, text.split(":"))
    now = time.time()
    t = now - now % 86400 + h * 3600 + m * 60
    return t + 86400 if t < now - 43200 else t


def save(path, pocket, opt, args):
    state = {"config": pocket.c.to_dict(), "model": pocket.state_dict(), "opt": opt.state(),
             "args": {k: str(v) for k, v in vars(args).items()}}
    torch.save(state, str(path) + ".part")
    os.replace(str(path) + ".part", path)


def options():
    p = argparse.ArgumentParser()
    p.add_argument("work", type=Path)
    p.add_argument("--chains", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--template", required=True)
    p.add_argument("--talk", type=Path, help="folder with the conversations; without it Sudokus alone")
    p.add_argument("--resume", help="a checkpoint, or a model folder: weights only, the optimizer starts anew")
    p.add_argument("--fall", default="23:58")
    p.add_argument("--end", default="23:59")
    p.add_argument("--steps", type=int, default=10**9)
    p.add_argument("--hard", type=float, default=0.4)
    p.add_argument("--sudokus", type=int, default=32, help="Sudokus a step")
    p.add_argument("--texts", type=int, default=0, help="first turns without a Sudoku a step")
    p.add_argument("--dialogues", type=int, default=0, help="later turns a step")
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--adam-lr", type=float, default=2e-3)
    p.add_argument("--sizes", default="", help="changes to Config, e.g. H=8,layer_kinds=ssfssf")
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def starting_point(args):
    """(model, state of the optimizer or None): new, from a checkpoint, or from a model folder."""
    if not args.resume:
        pairs = (x.split("=") for x in args.sizes.split(",") if x)
        return M.Pocket(M.Config(**{k: v if k == "layer_kinds" else int(v) for k, v in pairs})), None
    if Path(args.resume).is_dir():
        pocket = evaluate.load_folder(Path(args.resume)).train()
        pocket.dtype = torch.bfloat16
        return pocket, None
    saved = torch.load(args.resume, weights_only=False)
    pocket = M.Pocket(M.Config(**saved["config"]))
    pocket.load_state_dict(saved["model"])
    return pocket, saved["opt"]


def main():
    args = options()
    torch.set_num_threads(2)
    torch.manual_seed(args.seed)
    args.work.mkdir(parents=True, exist_ok=True)
    pocket, opt_state = starting_point(args)
    opt = optim.Optimizer(pocket, muon_lr=args.muon_lr, adam_lr=args.adam_lr)
    if opt_state:
        opt.load(opt_state)
    fmt = data.Format(args.tokenizer, args.template)
    talk = None
    if args.talk:
        import talk as talk_module
        talk = talk_module.Talk(fmt, args.talk, sudoku.Chains.load(args.chains, hard=args.hard), seed=args.seed + opt.steps)
    ex = data.Examples(fmt, sudoku.Chains.load(args.chains, hard=args.hard), talk, seed=args.seed + opt.steps,
                       bare=talk is None)
    loop(args, pocket, opt, ex, Steps(pocket, 2))


def groups(args):
    """[(method that draws an example, prompts, padded length, with causal loss)]: one compiled shape each."""
    wanted = [("sudoku", args.sudokus, 64, False), ("text", args.texts, 40, True), ("dialogue", args.dialogues, 192, True)]
    return [g for g in wanted if g[1]]


def loop(args, pocket, opt, ex, steps):
    fall, end = clock(args.fall), clock(args.end)
    kinds = groups(args)
    prompts, texts = sum(g[1] for g in kinds), sum(g[1] for g in kinds if g[3])
    started = last_save = last_log = time.time()
    sums, count, first = torch.zeros(len(kinds) + 1), 0, opt.steps
    while time.time() < end and opt.steps < first + args.steps:
        now = time.time()
        values, causal_sum = [], torch.zeros(())
        for kind, n, P, with_causal in kinds:
            loss, causal, balance = steps.group(*ex.batch([kind] * n, P, 2), n if with_causal else 0)
            # each group's gradient is added up by itself, so that only one group's activations are alive
            (loss.mean() * n / prompts + causal * n / prompts + 0.01 * balance * n / prompts).backward()
            values.append(loss.mean().detach())
            causal_sum += causal.detach() * n / max(texts, 1)
        warm = min(1.0, (opt.steps + 1) / 100, (opt.steps - first + 1) / 20)
        opt.step(warm * min(1.0, max(0.01, (end - now) / (end - fall))))
        sums, count = sums + torch.stack(values + [causal_sum]), count + 1
        if count == 50:
            names = [g[0] for g in kinds] + ["causal"]
            rate = (time.time() - last_log) / count
            print(opt.steps, f"{time.time() - started:.0f}s", *(f"{k} {v:.4f}" for k, v in zip(names, (sums / count).tolist())),
                  f"{rate:.3f} s/step", flush=True)
            sums, count, last_log = torch.zeros(len(kinds) + 1), 0, time.time()
        if time.time() - last_save > 180:
            save(args.work / "last.pt", pocket, opt, args)
            last_save = time.time()
    save(args.work / "last.pt", pocket, opt, args)
    print("done", opt.steps, "steps", flush=True)


if __name__ == "__main__":
    main()
