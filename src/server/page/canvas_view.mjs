// The canvas as text: one span per row, drawn by how far it is in focus.
//
// Noise lies in narrow boxes of one width, so that the text does not jump about before anything is known; a predicted
// token takes the room it needs. Newlines break the line once they are predicted. Control tokens and padding are dots;
// the first of the padding is the end sign. A row's span is touched only when what it shows changed, and callers draw
// at most once a frame (oncePerFrame), so a step of 256 rows costs a few milliseconds.
import {h} from './dom.mjs';
import {focusLevel} from './trace.mjs';

const kNoiseCharacters = 3;
// A fade is an animation of the browser's for each row: where many change again before they could end, there are none.
const kManyRows = 64, kFadeMs = 220;  // as in canvas.css
const kEndSign = '∎', kDot = '·', kHalf = '▯';

/// What a row shows: {text, look}. `look` is the class that style sheets know.
export function rowLook(text, state, entropy, padding) {
  const level = focusLevel(state, entropy);
  if (text === '') {
    if (padding === 'end') return {text: kEndSign, look: `t end f${level}`};
    return {text: kDot, look: `t dot f${level}`};
  }
  if (level === 0) {
    const glyphs = [...text.replace(/\s+/gu, '')].slice(0, kNoiseCharacters).join('');
    return {text: glyphs || (text.includes('\n') ? '↵' : '␣'), look: 't f0'};
  }
  return {text: text.replaceAll('\uFFFD', kHalf), look: `t f${level}`};
}

/// A canvas of figures in short lines, such as a Sudoku, is set with cells of one width. Judged by what is predicted.
function isBoard(state) {
  let figures = 0, others = 0;
  for (let row = 0; row < state.length; ++row) {
    if (state.texts[row] === '' || state.level(row) === 0) continue;
    if (/^[\d.\n]$/.test(state.texts[row]))
      ++figures;
    else
      ++others;
  }
  return figures > 12 && figures > 4 * others;
}

export class CanvasView {
  #spans = [];
  #shown = [];
  #padding = -1;
  #drawn = -Infinity;  // when

  constructor(label) { this.root = h('div', {class: 'canvas', 'aria-label': label}); }

  /// Draws a CanvasState; `rows` is the Set of those that may have changed, all if left out.
  draw(state, rows) {
    if (this.#spans.length !== state.length) {
      this.#build(state.length);
      rows = undefined;
    }
    const now = performance.now();
    this.root.classList.toggle('sudden', rows?.size > kManyRows && now - this.#drawn < kFadeMs);
    this.#drawn = now;
    const padding = state.paddingStart();
    if (rows === undefined) {
      for (let row = 0; row < state.length; ++row) this.#drawRow(state, row, padding);
    } else {
      for (const row of rows) this.#drawRow(state, row, padding);
      if (padding !== this.#padding)
        for (const row of [padding, this.#padding])
          if (row >= 0 && row < state.length) this.#drawRow(state, row, padding);
    }
    this.#padding = padding;
    this.root.classList.toggle('board', isBoard(state));
  }

  span(row) { return this.#spans[row]; }

  #build(length) {
    this.#shown = Array.from({length}, () => ({text: null, look: null}));
    this.#spans = Array.from({length}, (_, row) => h('span', {dataset: {row}}));
    this.root.replaceChildren(...this.#spans);
  }

  #drawRow(state, row, padding) {
    const next = rowLook(state.texts[row], state.states[row], state.entropy[row], row === padding ? 'end' : '');
    const shown = this.#shown[row], span = this.#spans[row];
    if (shown.text !== next.text) span.textContent = next.text;
    if (shown.look !== next.look) span.className = next.look;
    this.#shown[row] = next;
  }
}
