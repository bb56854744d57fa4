"""transformers' generate for one prompt, with the engine's random numbers put under its sampling code.

The same idea as the project's reference recorder, reduced to what evaluation needs: the answer and the steps.
Checked by: check.py, which compares it with sampler.py.
"""
import torch
from transformers.models.diffusion_gemma import generation_diffusion_gemma as gen

import sampler


class Dice:
    """Replaces the uniform tokens and the multinomial draw during one call of generate (one canvas)."""

    def __init__(self, seed, V, L):
        self.seed, self.V, self.L = seed, V, L
        self.step, self.fresh = 0, True

    def tokens(self, _sampler, _batch, _device):
        purpose = sampler.INITIAL if self.fresh else sampler.RENOISE
        return sampler.random_tokens(sampler.words([self.seed], purpose, 0, self.step, self.L), self.V)

    def multinomial(self, probs, num_samples):
        u = sampler.random_reals(sampler.words([self.seed], sampler.SAMPLE, 0, self.step, self.L))
        return sampler.choose(probs[None], u)[0][:, None]


def generate(theirs, prompt, seed):
    """-> (canvas [L], steps)."""
    L, V = theirs.config.canvas_length, theirs.config.text_config.vocab_size
    dice, S = Dice(seed, V, L), gen.EntropyBoundSampler
    init, renoise, multinomial = S.initialize_canvas, S.renoise_canvas, torch.multinomial

    def renoised(self, accepted, cur_step):
        dice.fresh = False
        result = renoise(self, accepted, cur_step)
        dice.step += 1
        return result

    S.initialize_canvas = lambda self, batch_size, device: dice.tokens(self, batch_size, device)
    S.renoise_canvas, torch.multinomial = renoised, dice.multinomial
    try:
        out = theirs.generate(input_ids=torch.tensor([prompt]), max_new_tokens=L)
    finally:
        S.initialize_canvas, S.renoise_canvas, torch.multinomial = init, renoise, multinomial
    return out.sequences[0, len(prompt):].tolist(), dice.step
