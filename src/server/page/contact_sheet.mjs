// The contact sheet: every step of every canvas as a small square of its rows, like the frames of a film, and the
// scrubber that moves through them.
//
// A frame is a picture of one pixel per row, in reading order, coloured by focus: an <img>, which is painted with what
// is around it, where a <canvas> is a layer of the compositor that every frame of the page pays for. The pointer picks
// frames directly; the range input does the same for the keyboard and for assistive technology (the frames themselves
// are hidden from it).
import {stepLine, whyCanvasStopped} from './colophon.mjs';
import {h, word} from './dom.mjs';
import {CanvasState, kLevels} from './trace.mjs';

const kMany = 48;        // frames above which they are drawn small
const kDevelopMs = 300;  // as in canvas.css

let palette = null;  // [kLevels] of [r, g, b], from the style sheet

/// Forgets the colours, for a change of theme.
export function forgetPalette() { palette = null; }

function colours() {
  if (palette) return palette;
  const probe = document.body.appendChild(h('span', {class: 'probe', hidden: true}));
  palette = Array.from({length: kLevels}, (_, level) => {
    probe.style.color = `var(--focus-${level})`;
    return getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map(Number);
  });
  probe.remove();
  return palette;
}

let easel = null;  // the canvas on which every picture is made

/// What a CanvasState looks like, as an <img>.
function picture(state) {
  easel ??= h('canvas').getContext('2d', {willReadFrequently: true});
  const {canvas} = easel;
  canvas.width = Math.ceil(Math.sqrt(state.length));
  canvas.height = Math.ceil(state.length / canvas.width);
  const image = easel.createImageData(canvas.width, canvas.height);
  const ramp = colours();
  for (let row = 0; row < state.length; ++row) {
    const [r, g, b] = ramp[state.level(row)];
    // Padding is settled early and says nothing: it is left blank, so that the text stands out.
    image.data.set([r, g, b, state.texts[row] === '' && state.level(row) >= 5 ? 0 : 255], row * 4);
  }
  easel.putImageData(image, 0, 0);
  return h('img', {src: canvas.toDataURL(), alt: '', decoding: 'sync', draggable: 'false'});
}

/// What the colours say.
function legend() {
  const says = ['noise', 'draft', 'accepted', 'settled', 'padding'];
  return h('p', {class: 'legend caption'}, ...says.map((state) => h('span', {class: state}, state)));
}

export class ContactSheet {
  #trace = null;
  #states = [];  // CanvasState per canvas, as of the last frame drawn
  #frames = [];  // [{canvas, frame, node}] in order
  #rolls = [];   // one per canvas: {list, caption}
  #chosen = -1;
  #replay = 0;
  #added = 0;  // when the last frame came

  /// `onchoose(canvas, frame)` is called for every frame chosen, `onleave` when the reader goes back to the answer.
  constructor({onchoose, onleave}) {
    this.onchoose = onchoose;
    this.onleave = onleave;
    this.range = h('input', {
      type: 'range',
      min: 0,
      max: 0,
      value: 0,
      'aria-label': 'Step',
      oninput: () => this.#choose(Number(this.range.value))
    });
    this.where = h('output', {class: 'where'});
    this.replayButton = word('Replay', () => this.replay());
    this.backButton = word('Back to the answer', () => this.leave(), {hidden: true});
    this.controls =
        h('div', {class: 'scrubber', hidden: true}, this.range, this.where,
          h('span', {class: 'words'}, this.replayButton, this.backButton));
    this.rolls = h('div', {class: 'rolls', 'aria-hidden': 'true'});
    this.root =
        h('section', {class: 'sheet-of-frames', 'aria-label': 'Every step of this answer'}, this.controls, this.rolls,
          legend());
    this.rolls.addEventListener('pointerdown', (event) => this.#point(event));
    this.rolls.addEventListener('pointermove', (event) => {
      if (event.buttons & 1) this.#point(event);
    });
  }

  get active() { return this.#chosen >= 0; }

  /// Draws all of a finished trace.
  showAll(trace) {
    trace.canvases.forEach((canvas, c) => canvas.frames.forEach((_, f) => this.add(trace, c, f)));
    this.finish();
  }

  /// Adds one frame; frames come in order.
  add(trace, canvas, frame) {
    this.#trace = trace;
    const {frames} = trace.canvases[canvas];
    const state = (this.#states[canvas] ??= new CanvasState(trace.length));
    state.apply(frames[frame], trace.texts);
    if (!this.#rolls[canvas]) {
      const roll = {list: h('div', {class: 'roll'}), caption: h('p', {class: 'caption'})};
      this.#rolls[canvas] = roll;
      this.rolls.append(roll.list, roll.caption);
    }
    const node =
        h('div', {class: 'frame', dataset: {at: this.#frames.length}}, picture(state),
          h('i', {}, String(frames[frame].step + 1)));
    // Each that fades in is a layer for that time: quick ones just appear.
    const now = performance.now();
    if (now - this.#added > kDevelopMs) node.dataset.slow = '';
    this.#added = now;
    this.#rolls[canvas].list.append(node);
    this.#frames.push({canvas, frame, node});
    this.range.max = this.#frames.length - 1;
    this.rolls.classList.toggle('many', this.#frames.length > kMany);
  }

  /// The answer is complete: captions, and the scrubber may be used.
  finish() {
    if (!this.#trace) return;
    this.#rolls.forEach((roll, i) => {
      const name = this.#rolls.length > 1 ? `canvas ${i + 1}: ` : '';
      roll.caption.textContent = name + whyCanvasStopped(this.#trace.canvases[i]);
    });
    this.controls.hidden = false;
    this.range.value = this.range.max;
    this.where.textContent = this.#describe(this.#frames.length - 1);
  }

  /// Draws the bitmaps again, in the colours of now.
  repaint() {
    if (!this.#trace) return;
    this.#states = [];
    for (const {canvas, frame, node} of this.#frames) {
      const state = (this.#states[canvas] ??= new CanvasState(this.#trace.length));
      state.apply(this.#trace.canvases[canvas].frames[frame], this.#trace.texts);
      node.firstChild.replaceWith(picture(state));
    }
  }

  /// Plays all frames, eight a second.
  replay() {
    if (this.#stopReplay()) return;
    this.replayButton.textContent = 'Pause';
    let at = this.#chosen >= 0 && this.#chosen < this.#frames.length - 1 ? this.#chosen : 0;
    this.#choose(at);
    this.#replay = setInterval(() => {
      if (++at >= this.#frames.length)
        this.#stopReplay();
      else
        this.#choose(at, true);
    }, 125);
  }

  leave() {
    this.close();
    this.range.focus({preventScroll: true});
  }

  /// As leave(), with the focus left where it is.
  close() {
    if (!this.active) return;
    this.#stopReplay();
    this.#mark(-1);
    this.range.value = this.range.max;
    this.where.textContent = this.#describe(this.#frames.length - 1);
    this.backButton.hidden = true;
    this.onleave();
  }

  #stopReplay() {
    const running = this.#replay !== 0;
    clearInterval(this.#replay);
    this.#replay = 0;
    this.replayButton.textContent = 'Replay';
    return running;
  }

  #point(event) {
    if (this.controls.hidden) return;
    const frame = document.elementFromPoint(event.clientX, event.clientY)?.closest('.frame');
    if (!frame || !this.rolls.contains(frame)) return;
    event.preventDefault();
    this.rolls.setPointerCapture(event.pointerId);  // whatever moves under the finger meanwhile is not what it pressed
    this.range.focus({preventScroll: true});
    this.#choose(Number(frame.dataset.at));
  }

  #choose(at, replaying = false) {
    if (!replaying) this.#stopReplay();
    if (at === this.#chosen) return;
    this.#mark(at);
    this.range.value = at;
    const text = this.#describe(at);
    this.where.textContent = text;
    this.range.setAttribute('aria-valuetext', text);
    this.backButton.hidden = false;
    const {canvas, frame} = this.#frames[at];
    this.onchoose(canvas, frame);
  }

  #mark(at) {
    this.#frames[this.#chosen]?.node.classList.remove('chosen');
    this.#frames[at]?.node.classList.add('chosen');
    this.#chosen = at;
  }

  #describe(at) {
    const {canvas, frame} = this.#frames[at];
    return stepLine(this.#trace, canvas, frame, this.#rolls.length);
  }
}
