// One question, one answer: their DOM. An answer is live while its canvases develop, then it is a text with its contact
// sheet, and it shows a canvas again while the reader scrubs. What is kept of an answer is the message object that the
// view fills in (content, reasoning, finish, error, stats) and its trace.
import {CanvasView} from './canvas_view.mjs';
import {ContactSheet} from './contact_sheet.mjs';
import {h, oncePerFrame, plural, word} from './dom.mjs';
import {gridPieces, render} from './markdown.mjs';
import {explore, hideHistory} from './row_history.mjs';
import {CanvasState, Trace} from './trace.mjs';

const kFinish = {
  stop: 'ended with its stop token',
  length: 'reached the limit of tokens',
  stopped: 'stopped by you',
  tool_calls: 'asked for a tool',
};

export function questionTurn(message, {onedit}) {
  const text =
      h('div', {class: 'asked'},
        ...gridPieces(message.content).map((piece) => h('p', {class: piece.grid ? 'grid' : null}, piece.text)));
  const edit = word('Edit', () => {
    const area =
        h('textarea',
          {class: 'rewrite', 'aria-label': 'Your message', rows: Math.min(12, message.content.split('\n').length + 1)});
    area.value = message.content;
    const restore = () => {
      form.replaceWith(text);
      root.append(words);
      edit.focus();
    };
    const form =
        h('form', {
          class: 'rewriting',
          onsubmit: (event) => {
            event.preventDefault();
            if (area.value.trim()) onedit(message, area.value.trim());
          }
        },
          area,
          h('p', {class: 'words'}, h('button', {type: 'submit', class: 'word'}, 'Ask this instead'),
            word('Cancel', restore)));
    area.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        restore();
      }
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    words.remove();
    text.replaceWith(form);
    area.focus();
  }, {'aria-label': 'Edit this question'});
  const words = h('p', {class: 'words actions'}, edit);
  const root = h('article', {class: 'question', 'aria-label': 'Question'}, text, words);
  return root;
}

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

function colophonLines(message) {
  const {stats, finish} = message;
  const lines = [];
  if (stats) {
    lines.push([plural(stats.tokens, 'token'), 'of the answer']);
    if (stats.stepsPerCanvas.length === 1) lines.push([plural(stats.stepsPerCanvas[0], 'step'), 'one canvas']);
    if (stats.stepsPerCanvas.length > 1)
      lines.push(
          [`${stats.stepsPerCanvas.join(' + ')} steps`, plural(stats.stepsPerCanvas.length, 'canvas', 'canvases')]);
    if (stats.perForward > 0) lines.push([`${short(stats.perForward)} tokens`, 'per forward pass']);
    if (stats.perSecond > 0) lines.push([`${short(stats.perSecond)} tokens/s`, `${short(stats.seconds)} s in all`]);
    if (stats.seed)
      lines.push([
        `seed ${stats.seed}`,
        stats.cachedTokens ? `${stats.cachedTokens} of ${stats.promptTokens} prompt tokens known` :
                             `${stats.promptTokens} prompt tokens`
      ]);
  }
  if (finish) lines.push([kFinish[finish] ?? finish, '']);
  return lines;
}

export class AnswerView {
  #trace = null;
  #state = null;
  #live = null;  // CanvasView while the answer develops
  #changed = new Set();
  #newFrames = [];
  #looking = null;  // CanvasView while the reader scrubs
  #spent = false;   // the live canvas was committed: it goes when its text comes

  /// `message` is filled in. `loadTrace()` gives the kept record of the trace, if any; `onretry`, `ongrow` (the page
  /// got longer).
  constructor(message, {onretry, ongrow, announce, loadTrace}) {
    Object.assign(this, {message, ongrow, announce, loadTrace});
    this.prose = h('div', {class: 'prose'});
    this.thoughts = h('div', {class: 'prose'});
    this.reasoning = h('details', {class: 'reasoning', hidden: true}, h('summary', {}, 'Thoughts'), this.thoughts);
    this.stage = h('div', {class: 'stage'});
    this.margin = h('div', {class: 'margin'});
    this.trouble = h('p', {class: 'trouble', role: 'alert', hidden: true});
    this.copy = word('Copy', () => this.#copy());
    this.actions =
        h('p', {class: 'words actions', hidden: true}, this.copy,
          word('Retry', () => onretry(message), {'aria-label': 'Retry this answer'}));
    this.sheet =
        new ContactSheet({onchoose: (canvas, frame) => this.#look(canvas, frame), onleave: () => this.#leave()});
    this.exposures =
        h('details', {
          class: 'exposures',
          hidden: true,
          ontoggle: () => {
            if (this.exposures.open) this.#openSheet();
          }
        },
          h('summary', {}, 'Contact sheet'), this.sheet.root);
    this.root =
        h('article', {class: 'answer', 'aria-label': 'Answer'}, this.margin, this.reasoning, this.prose, this.stage,
          this.trouble, this.exposures, this.actions);
    this.#paint = oncePerFrame(() => this.#draw());
  }

  #paint;

  /// A message from before.
  static kept(message, actions) {
    const view = new AnswerView(message, actions);
    view.#showText();
    view.#settle();
    view.exposures.hidden = !message.traced;
    return view;
  }

  // While it develops.

  begin() {
    this.root.classList.add('live');
    this.root.setAttribute('aria-busy', 'true');
    this.#note([['waiting for a place', '']]);
  }

  started(event) {
    this.#trace = new Trace(event);
    this.message.seed = String(event.seed ?? '');
    this.#note([['reading the prompt', plural(event.prompt_tokens ?? 0, 'token')]]);
    this.#newCanvas();
    this.#paint();
  }

  /// An empty canvas on the stage: what will develop, before anything of it is known.
  #newCanvas() {
    this.#spent = false;
    this.#state = new CanvasState(this.#trace.length);
    this.#live ??= new CanvasView('');
    this.#live.root.setAttribute('aria-hidden', 'true');
    this.stage.replaceChildren(this.#live.root);
    for (let row = 0; row < this.#trace.length; ++row) this.#changed.add(row);
  }

  draft(event) {
    if (!this.#trace) return;
    const at = this.#trace.add(event);
    if (at.frame === 0) this.#newCanvas();
    const frame = this.#trace.canvases[at.canvas].frames[at.frame];
    for (const row of this.#state.apply(frame, this.#trace.texts)) this.#changed.add(row);
    this.#newFrames.push(at);
    this.progress = (event.step + 1) / Math.max(1, event.max_steps);
    this.#paint();
  }

  committed(event) {
    this.#trace?.commit(event);
    this.#spent = true;
  }

  content(text) {
    this.message.content += text;
    this.#unheard += text;
    this.#textCame();
  }

  thought(text) {
    this.message.reasoning = (this.message.reasoning ?? '') + text;
    this.#textCame();
  }

  #textCame() {
    if (this.#spent) this.#clearStage();
    this.#textDue = true;
    this.#paint();
  }

  #textDue = false;
  #unheard = '';  // committed text that screen readers have not been told

  /// It ended; message.finish or message.error is set.
  end() {
    this.root.classList.remove('live');
    this.root.removeAttribute('aria-busy');
    this.#paint.now();
    this.#clearStage();
    this.#showText();
    this.#settle();
    if (!this.#trace?.canvases.length) return;
    this.message.traced = true;
    this.exposures.hidden = false;
    this.sheet.finish();
    this.#opened = true;
  }

  #opened = false;

  traceRecord() { return this.#trace?.canvases.length ? this.#trace.record() : null; }

  #clearStage() {
    this.#spent = false;
    this.#changed.clear();
    this.#live = null;
    this.stage.replaceChildren();
  }

  #draw() {
    if (this.#textDue) this.#showText();
    if (this.#unheard) this.announce(this.#unheard);
    this.#unheard = '';
    this.#textDue = false;
    if (this.#live && this.#changed.size) {
      this.#live.draw(this.#state, this.#changed);
      this.#changed.clear();
    }
    for (const {canvas, frame} of this.#newFrames) this.sheet.add(this.#trace, canvas, frame);
    if (this.#newFrames.length) {
      if (this.exposures.hidden) this.exposures.open = true;
      this.exposures.hidden = false;
      this.#noteStep(this.#newFrames.at(-1));
    }
    this.#newFrames = [];
    this.ongrow();
  }

  #noteStep({canvas, frame}) {
    const {frames, maxSteps} = this.#trace.canvases[canvas];
    const {step, mean, temperature} = frames[frame];
    this.#note([
      [`canvas ${canvas + 1}`, `${this.#trace.length} tokens`],
      [`step ${step + 1}/${maxSteps}`, `temperature ${temperature.toFixed(2)}`],
      [`${this.#state.accepted}/${this.#trace.length}`, 'in focus'],
      [`${mean.toFixed(mean < 0.1 ? 3 : 2)} nats`, 'mean entropy']
    ]);
  }

  // When it is complete.

  #showText() {
    this.prose.replaceChildren(...render(this.message.content));
    const thought = this.message.reasoning ?? '';
    this.reasoning.hidden = thought === '';
    if (thought) this.thoughts.replaceChildren(...render(thought));
  }

  #settle() {
    const {content, finish, error} = this.message;
    this.#note(colophonLines(this.message));
    this.actions.hidden = false;
    this.copy.hidden = !content;
    this.trouble.hidden = !error && (content !== '' || !finish);
    this.trouble.textContent =
        error ?? (finish === 'stopped' ? 'Stopped before anything was final.' : 'The answer is empty.');
    this.trouble.classList.toggle('mild', !error);
  }

  #note(lines) {
    this.margin.replaceChildren(
        ...lines.map(([strong, weak]) => h('p', {}, h('b', {}, strong), weak ? h('span', {}, weak) : null)));
  }

  async #openSheet() {
    if (this.#opened || this.#trace) return;
    this.#opened = true;
    this.#trace = Trace.fromRecord(await this.loadTrace());
    if (this.#trace)
      this.sheet.showAll(this.#trace);
    else
      this.exposures.replaceChildren(
          h('summary', {}, 'Contact sheet'),
          h('p', {class: 'caption'}, 'The steps of this answer are not kept any more.'));
  }

  // While the reader scrubs: the answer's text gives way to a canvas, and the sheet stays where it is on the screen.

  #look(canvas, frame) {
    const before = this.sheet.root.getBoundingClientRect().top;
    if (!this.#looking) {
      this.stage.style.minHeight = `${this.prose.getBoundingClientRect().height}px`;
      this.root.classList.add('scrubbing');
      this.#looking = new CanvasView('The canvas at this step; arrow keys move through its rows');
      this.before = h('span', {class: 'before'});
      this.stage.replaceChildren(this.before, this.#looking.root);
      explore(
          this.#looking, this.#trace.length,
          (row) => ({history: this.#trace.history(this.at.canvas, row), now: this.at.frame}));
    }
    if (this.at?.canvas !== canvas) this.before.textContent = this.#trace.textBefore(canvas);
    this.at = {canvas, frame};
    this.#looking.draw(this.#trace.view(canvas, frame));
    hideHistory();
    const scroller = this.root.closest('#scroller');
    if (scroller) scroller.scrollTop += this.sheet.root.getBoundingClientRect().top - before;
  }

  #leave() {
    const before = this.sheet.root.getBoundingClientRect().top;
    this.#looking = null;
    this.at = null;
    this.root.classList.remove('scrubbing');
    this.stage.replaceChildren();
    this.stage.style.minHeight = '';
    hideHistory();
    const scroller = this.root.closest('#scroller');
    if (scroller) scroller.scrollTop += this.sheet.root.getBoundingClientRect().top - before;
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.message.content);
      this.copy.textContent = 'Copied';
    } catch {
      this.copy.textContent = 'Not allowed';
    }
    setTimeout(() => {
      this.copy.textContent = 'Copy';
    }, 1500);
  }
}
