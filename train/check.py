"""The two-minute check of train/: run by hand after any change here, and before a long training. Not part of CI.

    python3 check.py [MODEL_FOLDER]          default: ../models/pocket
"""
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import numpy as np
import torch

import data
import dice
import evaluate
import experts
import export
import make_eval
import model as M
import sampler
import sudoku
import talk

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else data.HERE.parent / "models" / "pocket"


def check_sudoku():
    """Every stored chain keeps one solution to its end, and symmetries keep the rules."""
    chains = sudoku.Chains(*sudoku.make_chains(60, 5), hard=0.5)
    rng = np.random.default_rng(0)
    for _ in range(60):
        puzzle, solution = chains.draw(rng)
        assert sudoku.count_solutions(list(puzzle)) == 1 and sudoku.solve(list(puzzle)) == list(solution)
        assert all(sorted(solution[u]) == [1, 2, 3, 4, 5, 6] for u in sudoku.UNITS)
    assert sudoku.parse(sudoku.text(puzzle)) == list(puzzle)


def check_tokenizer():
    """Cells are single tokens, all printable characters are known, text survives, transformers reads the same."""
    from transformers import AutoTokenizer
    fmt = data.Format(FOLDER / "tokenizer.json", FOLDER / "chat_template.jinja")
    t = fmt.tokenizer
    assert t.get_vocab_size() == 2048 and t.token_to_id("<turn|>") == 106 and t.token_to_id("<|tool_response>") == 50
    grid = ".1..2.\n6....."
    assert len(t.encode(grid, add_special_tokens=False).ids) == len(grid)
    for s in [*(chr(c) for c in range(33, 127)), "Grüße, 你好!", "a  b\n\n c 3.14", "What is a canvas?"]:
        ids = t.encode(s, add_special_tokens=False).ids
        assert 3 not in ids and t.decode(ids) == s, s
    theirs = AutoTokenizer.from_pretrained(FOLDER)
    messages = [data.user("Hello"), data.model("Hello! What now?"), data.user("What is a canvas?")]
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    assert list(ids) == fmt.prompt(messages), (ids, fmt.prompt(messages))
    assert fmt.render(messages).endswith("<|turn>model\n<|channel>thought\n<channel|>")


def check_held_out():
    """Training never draws a held-out wording."""
    fmt = data.Format(FOLDER / "tokenizer.json", FOLDER / "chat_template.jinja")
    t = talk.Talk(fmt, data.HERE / "data", sudoku.Chains(*sudoku.make_chains(20, 1)))
    for q in t.questions + t.refusals:
        assert len(q["held_out"]) >= 2 and 5 <= len(fmt.tokenizer.encode(q["answer"]).ids) <= 50, q["id"]
    for _ in range(20000):
        assert talk.plain(t.one()[0]) not in t.held_out
    lines = data.read_jsonl(data.HERE / "data" / "sudoku_eval.jsonl")
    assert len(lines) == make_eval.COUNT == len({x["messages"][0]["content"] for x in lines})


def check_logits():
    """Logits of both passes equal transformers' within 1e-4, with random weights, prompts around the window, and
    self-conditioning; so does the gradient of the expert operator against the plain formula."""
    torch.manual_seed(1)
    pocket = M.Pocket(M.Config())
    pocket.dtype = torch.float32
    for p in pocket.parameters():
        p.data.add_(torch.randn_like(p) * 0.1 * p.data.abs().mean())
    theirs = export.to_transformers(pocket)
    theirs.set_experts_implementation("eager")
    c, worst = pocket.c, 0.0
    with torch.no_grad():
        for S in (5, c.W - 2, c.W - 1, c.W, 2 * c.W + 3):
            tokens, canvas = torch.randint(0, c.V, (1, S)), torch.randint(0, c.V, (1, c.L))
            lengths = torch.tensor([S])
            padded = torch.cat([tokens, torch.zeros(1, 7, dtype=torch.int64)], 1)
            _, kv, _ = pocket.encode(padded, M.encode_masks(lengths, S + 7, c.W))
            masks = M.denoise_masks(lengths, S + 7, c.L, c.W)
            h, _ = pocket.denoise(canvas, torch.zeros(1, c.L, c.D), lengths, kv, masks)
            first = pocket.logits(h)
            a = theirs(input_ids=tokens, decoder_input_ids=canvas).logits
            h, _ = pocket.denoise(canvas, pocket.soften(a / 0.8), lengths, kv, masks)
            b = theirs(input_ids=tokens, decoder_input_ids=canvas, self_conditioning_logits=a / 0.8).logits
            worst = max(worst, (first - a).abs().max().item(), (pocket.logits(h) - b).abs().max().item())
    assert worst < 1e-4, worst
    return f"largest difference of a logit {worst:.1e}"


def check_experts():
    torch.manual_seed(2)
    N, E, T, D, Fe = 300, 4, 2, 16, 8
    x, w = torch.randn(N, D, requires_grad=True), torch.rand(N, T, requires_grad=True)
    gu, dn = torch.randn(E, 2 * Fe, D, requires_grad=True), torch.randn(E, D, Fe, requires_grad=True)
    index = torch.rand(N, E).topk(T, -1)[1]
    plain = 0
    for t in range(T):
        h = experts.act((gu[index[:, t]] @ x[..., None])[..., 0])
        plain = plain + w[:, t, None] * (dn[index[:, t]] @ h[..., None])[..., 0]
    g = torch.randn(N, D)
    want = torch.autograd.grad((plain * g).sum(), (x, gu, dn, w))
    got_out = experts.mix(x, gu, dn, index, w)
    got = torch.autograd.grad((got_out * g).sum(), (x, gu, dn, w))
    worst = max((a - b).abs().max().item() for a, b in zip((got_out, *got), (plain, *want)))
    assert worst < 1e-3, worst


def check_sampler():
    """The dice are the specified ones, and three answers equal those of transformers' generate, token by token."""
    assert sampler.words([0x0123456789ABCDEF], 1, 2, 3, 6)[0, 5] == 0x319DBE8062190AA5
    assert sampler.random_tokens(np.array([[2**64 - 1, 0, 2**63]], np.uint64), 2048).tolist() == [[2047, 0, 1024]]
    fmt = data.Format(FOLDER / "tokenizer.json", FOLDER / "chat_template.jinja")
    lines = evaluate.cases(2, 0)[:4]
    prompts = [fmt.prompt(c["messages"]) for c in lines]
    ours = sampler.answers(evaluate.load_folder(FOLDER), prompts, range(4))
    theirs = evaluate.by_transformers(FOLDER)(fmt, prompts, range(4))
    same = sum(fmt.text(a) == fmt.text(b) and m == n for a, b, m, n in zip(ours[0], theirs[0], ours[1], theirs[1]))
    assert same >= 3, (ours, theirs)              # rounding may part the ways of one
    return f"{same} of 4 answers the same as transformers'"


def check_saving():
    """A model folder written and read again is the same model, and small enough."""
    torch.manual_seed(3)
    pocket = M.Pocket(M.Config())
    for p in pocket.parameters():
        p.data.copy_(p.data.bfloat16().float())
    with tempfile.TemporaryDirectory() as folder:
        export.write(pocket, Path(folder), FOLDER / "tokenizer.json", FOLDER / "chat_template.jinja")
        again = evaluate.load_folder(Path(folder))
        assert all(torch.equal(a, b) for a, b in zip(pocket.parameters(), again.parameters()))
        assert sum(f.stat().st_size for f in Path(folder).iterdir()) < 12_000_000


def main():
    torch.set_num_threads(2)
    for check in (check_sudoku, check_tokenizer, check_held_out, check_experts, check_logits, check_saving,
                  check_sampler):
        start = time.time()
        note = check()
        print(f"{check.__name__}: ok, {time.time() - start:.1f} s", f"({note})" if note else "", flush=True)


if __name__ == "__main__":
    main()
