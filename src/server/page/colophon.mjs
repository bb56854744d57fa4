// The notes in an answer's margin: what the canvas is at while it develops, and afterwards how the answer came about.
// Lines are pairs of a strong and a weak part.
import {plural} from './dom.mjs';

const kFinish = {
  stop: 'ended with its stop token',
  length: 'reached the limit of tokens',
  stopped: 'stopped by you',
  tool_calls: 'asked for a tool',
};

/// The numbers of a finished answer, from the usage that the service sent.
export function statsOf(usage, seed) {
  const diffusion = usage.diffusion ?? {};
  const seconds = diffusion.timing?.total_s ?? 0;
  return {
    tokens: usage.completion_tokens ?? 0,
    promptTokens: usage.prompt_tokens ?? 0,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    stepsPerCanvas: diffusion.steps_per_canvas ?? [],
    perForward: diffusion.tokens_per_forward ?? 0,
    perSecond: seconds > 0 ? (usage.completion_tokens ?? 0) / seconds : 0,
    seconds,
    seed,
  };
}

const short = (x) => (x >= 100 ? x.toFixed(0) : x.toPrecision(2));

/// The notes on a finished message.
export function colophonLines(message) {
  const {stats, finish} = message;
  const lines = [];
  if (stats) {
    lines.push([plural(stats.tokens, 'token'), 'of the answer']);
    const steps = stats.stepsPerCanvas, sum = steps.reduce((a, b) => a + b, 0);
    if (steps.length === 1) lines.push([plural(sum, 'step'), 'one canvas']);
    if (steps.length > 1)
      lines.push([`${short(sum / steps.length)} steps per canvas`, `${sum} on ${steps.length} canvases`]);
    if (stats.perForward > 0) lines.push([`${short(stats.perForward)} tokens`, 'per forward pass']);
    if (stats.perSecond > 0) lines.push([`${short(stats.perSecond)} tokens/s`, `${short(stats.seconds)} s in all`]);
    lines.push(
        [plural(stats.promptTokens, 'prompt token'), stats.cachedTokens ? `${stats.cachedTokens} from the cache` : '']);
    if (stats.seed) lines.push([`seed ${stats.seed}`, '']);
  }
  if (finish) lines.push([kFinish[finish] ?? finish, '']);
  return lines;
}

const nats = (entropy) => `${entropy.toFixed(entropy < 0.1 ? 3 : 2)} nats`;

/// A step in one line. `canvases`: how many there are; with one only, its number is not said.
export function stepLine(trace, canvas, frame, canvases) {
  const {frames, maxSteps} = trace.canvases[canvas];
  const {step, mean, temperature} = frames[frame];
  const name = canvases > 1 ? `canvas ${canvas + 1} of ${canvases}, ` : '';
  return `${name}step ${step + 1}/${maxSteps}, entropy ${nats(mean)}, temperature ${temperature.toFixed(2)}`;
}

/// The notes on the step that the live canvas has just taken.
export function stepLines(trace, canvas, frame, accepted) {
  const {frames, maxSteps} = trace.canvases[canvas];
  const {step, mean, temperature} = frames[frame];
  return [
    [`canvas ${canvas + 1}`, `${trace.length} tokens`],
    [`step ${step + 1}/${maxSteps}`, `temperature ${temperature.toFixed(2)}`],
    [`${accepted}/${trace.length}`, 'in focus'],
    [nats(mean), 'mean entropy'],
  ];
}

/// Why a canvas stopped, in words.
export function whyCanvasStopped(canvas) {
  if (!canvas.done) return 'not finished';
  const steps = plural(canvas.steps, 'step');
  return canvas.converged ? `converged after ${steps} of at most ${canvas.maxSteps}` : `stopped by the cap of ${steps}`;
}
