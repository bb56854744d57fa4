// Everything that happened to an answer's canvases, step by step. No DOM.
//
// A frame holds only the rows that changed, as the service sends them; a frame's whole canvas is made by applying all
// frames up to it (at most 48 x 256 small steps, which is nothing). Tokens repeat a lot, so texts are kept once and
// named by number. record() and fromRecord() are what is kept in the browser between visits; a record that does not
// hold together is refused whole. Test: tests/server/page_modules_test.mjs.

export const kStates = ['noise', 'draft', 'accepted', 'settled'];
const kNoise = 0, kDraft = 1, kAccepted = 2, kSettled = 3;

// Above this many nats a row counts as noise: the scale on which drafts come into focus (as in the terminal's view).
const kBlurredEntropy = 2;
/// Levels of focus: 0 noise, 1..4 draft from blurred to nearly sharp, 5 accepted, 6 settled.
export const kLevels = 7;

export function focusLevel(state, entropy) {
  if (state === kNoise) return 0;
  if (state === kSettled) return 6;
  if (state === kAccepted) return 5;
  return 1 + Math.max(0, Math.min(3, Math.floor((1 - entropy / kBlurredEntropy) * 4)));
}

export class Trace {
  constructor(started) {
    this.length = started.canvas_length;
    this.seed = String(started.seed ?? '');
    this.canvases = [];  // [{frames: [frame], steps, maxSteps, converged, done}]
    this.texts = [];
    this.#numbers = new Map();
  }

  #numbers;

  get frameCount() { return this.canvases.reduce((sum, canvas) => sum + canvas.frames.length, 0); }

  /// Takes a draft event; gives {canvas, frame}, the numbers under which it is kept.
  add(event) {
    const index = event.canvas;
    const canvas = (this.canvases[index] ??= {frames: [], steps: 0, maxSteps: 0, converged: false, done: false});
    canvas.maxSteps = event.max_steps ?? canvas.maxSteps;
    const rows = (event.rows ?? []).filter((row) => row.row >= 0 && row.row < this.length);
    canvas.frames.push({
      step: event.step,
      temperature: event.temperature ?? 0,
      mean: event.mean_entropy ?? 0,
      rows: Uint16Array.from(rows, (row) => row.row),
      texts: Uint32Array.from(rows, (row) => this.#number(row.text ?? '')),
      entropy: Float32Array.from(rows, (row) => row.entropy ?? 0),
      states: Uint8Array.from(rows, (row) => Math.max(0, kStates.indexOf(row.state))),
    });
    return {canvas: index, frame: canvas.frames.length - 1};
  }

  commit(event) {
    const canvas = this.canvases[event.canvas];
    if (!canvas) return;
    Object.assign(canvas, {steps: event.steps, converged: event.converged, done: true});
  }

  #number(text) {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.texts.push(text) - 1;
      this.#numbers.set(text, number);
    }
    return number;
  }

  /// A canvas as it stood after a frame.
  view(canvasIndex, frameIndex) {
    const view = new CanvasState(this.length);
    const {frames} = this.canvases[canvasIndex];
    for (let i = 0; i <= frameIndex; ++i) view.apply(frames[i], this.texts);
    return view;
  }

  /// What a row was in each frame of its canvas: [{step, text, entropy, state}].
  history(canvasIndex, row) {
    const past = [];
    let now = {text: '', entropy: 0, state: kNoise};
    for (const frame of this.canvases[canvasIndex].frames) {
      const at = frame.rows.indexOf(row);
      if (at >= 0) now = {text: this.texts[frame.texts[at]], entropy: frame.entropy[at], state: frame.states[at]};
      past.push({step: frame.step, ...now});
    }
    return past;
  }

  /// The text of the canvases before this one.
  textBefore(canvasIndex) {
    let text = '';
    for (let i = 0; i < canvasIndex; ++i) text += this.view(i, this.canvases[i].frames.length - 1).texts.join('');
    return text;
  }

  record() { return {length: this.length, seed: this.seed, texts: this.texts, canvases: this.canvases}; }

  static fromRecord(record) {
    if (!record || !(record.length > 0) || !Array.isArray(record.texts) || !Array.isArray(record.canvases)) return null;
    const sound = record.canvases.every(
        (canvas) => Array.isArray(canvas?.frames) && canvas.frames.length > 0 &&
            canvas.frames.every((frame) => soundFrame(frame, record)));
    if (!sound) return null;
    const trace = new Trace({canvas_length: record.length, seed: record.seed});
    trace.texts = record.texts;
    trace.canvases = record.canvases;
    return trace;
  }
}

function soundFrame(frame, {length, texts}) {
  const n = frame?.rows?.length;
  const columns = [frame?.rows, frame?.texts, frame?.entropy, frame?.states];
  return columns.every((column) => ArrayBuffer.isView(column) && column.length === n) && Number.isFinite(frame.step) &&
      Number.isFinite(frame.mean) && frame.rows.every((row) => row < length) &&
      frame.texts.every((text) => typeof texts[text] === 'string') &&
      frame.states.every((state) => state < kStates.length);
}

/// The rows of one canvas at one moment.
export class CanvasState {
  constructor(length) {
    this.length = length;
    this.texts = new Array(length).fill('');  // [L]
    this.entropy = new Float32Array(length);  // [L] nats
    this.states = new Uint8Array(length);     // [L] index into kStates
  }

  /// Applies a frame; gives the rows that it changed.
  apply(frame, texts) {
    frame.rows.forEach((row, i) => {
      this.texts[row] = texts[frame.texts[i]];
      this.entropy[row] = frame.entropy[i];
      this.states[row] = frame.states[i];
    });
    return frame.rows;
  }

  level(row) { return focusLevel(this.states[row], this.entropy[row]); }

  /// The first row of the padding that closes the canvas, L if there is none. Noise is not padding.
  paddingStart() {
    let row = this.length;
    while (row > 0 && this.texts[row - 1] === '' && this.states[row - 1] !== kNoise) --row;
    return row;
  }

  count(state) { return this.states.reduce((sum, s) => sum + (s >= state ? 1 : 0), 0); }
  get accepted() { return this.count(kAccepted); }
}

export const kStateNumbers = {
  noise: kNoise,
  draft: kDraft,
  accepted: kAccepted,
  settled: kSettled
};
