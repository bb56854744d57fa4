// An answer: live while its canvases develop, afterwards a text with its contact sheet. What is kept of it is the
// message object that the view fills in (content, reasoning, finish, error, stats) and its trace. Everything that an
// event changes is drawn at the next animation frame, together.
import {CanvasView} from './canvas_view.mjs';
import {colophonLines, stepLines} from './colophon.mjs';
import {ContactSheet} from './contact_sheet.mjs';
import {copyButton, h, oncePerFrame, plural, word} from './dom.mjs';
import {render} from './markdown.mjs';
import {Scrub} from './scrub.mjs';
import {CanvasState, Trace} from './trace.mjs';

const kSheetTitle = 'Contact sheet: every step';

export class AnswerView {
  #trace = null;
  #state = null;    // CanvasState of the live canvas
  #live = null;     // CanvasView while the answer develops
  #spent = false;   // the live canvas was committed: it goes when its text comes
  #opened = false;  // the contact sheet has its frames
  #paint = oncePerFrame(() => this.#draw());
  // What came since the last paint.
  #changed = new Set();  // rows
  #newFrames = [];
  #textDue = false;
  #unheard = '';  // committed text that screen readers have not been told

  /// `message` is filled in. `loadTrace()` gives the kept record of the trace, if any; `onretry`, `ongrow` (the page
  /// got longer); `elsewhere()`: another tab is making this answer.
  constructor(message, {onretry, ongrow, announce, loadTrace, elsewhere}) {
    Object.assign(this, {message, ongrow, announce, loadTrace, elsewhere});
    this.prose = h('div', {class: 'prose'});
    this.thoughts = h('div', {class: 'prose'});
    this.reasoning = h('details', {class: 'reasoning', hidden: true}, h('summary', {}, 'Thoughts'), this.thoughts);
    this.stage = h('div', {class: 'stage'});
    this.margin = h('div', {class: 'margin'});
    this.trouble = h('p', {class: 'trouble', role: 'alert', hidden: true});
    this.copy = copyButton(() => message.content);
    this.actions =
        h('p', {class: 'words actions', hidden: true}, this.copy,
          word('Retry', () => onretry(message), {'aria-label': 'Retry this answer'}));
    this.sheet = new ContactSheet(
        {onchoose: (canvas, frame) => this.scrub.show(this.#trace, canvas, frame), onleave: () => this.scrub.leave()});
    this.exposures =
        h('details', {
          class: 'exposures',
          hidden: true,
          ontoggle: () => {
            if (this.exposures.open) this.#openSheet();
          }
        },
          h('summary', {}, kSheetTitle), this.sheet.root);
    this.root =
        h('article', {class: 'answer', 'aria-label': 'Answer'}, this.margin, this.reasoning, this.prose, this.stage,
          this.trouble, this.exposures, this.actions);
    this.scrub = new Scrub({root: this.root, stage: this.stage, prose: this.prose, anchor: this.sheet.root});
  }

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
  }

  /// The noise of a canvas, before its first step.
  canvas(event) {
    if (!this.#trace) return;
    this.#newCanvas();
    (event.noise ?? []).slice(0, this.#trace.length).forEach(({text}, row) => {
      this.#state.texts[row] = text ?? '';
    });
    this.#paint();
  }

  /// A canvas on the stage of which nothing is known.
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

  /// It ended; message.finish or message.error is set.
  end() {
    this.root.classList.remove('live');
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

  /// What is to be kept of it is kept.
  kept() { this.root.removeAttribute('aria-busy'); }

  /// Something else is asked: back to the text, and the steps are put away.
  fold() {
    this.sheet.close();
    this.exposures.open = false;
  }

  /// Where the page stands when it follows this answer: at its end, but however many frames lie below the text, half of
  /// the view is text, or all of it from the question on.
  endOfPage(scroller) {
    const {scrollHeight, scrollTop, clientHeight} = scroller;
    const bounds = (node) => node.getBoundingClientRect();
    const question = this.root.previousElementSibling ?? this.root;
    const most = Math.max(bounds(this.stage).bottom - clientHeight / 2, bounds(question).top) - bounds(scroller).top;
    return Math.min(scrollHeight - clientHeight, scrollTop + most);
  }

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
      const {canvas, frame} = this.#newFrames.at(-1);
      this.#note(stepLines(this.#trace, canvas, frame, this.#state.accepted));
    }
    this.#newFrames = [];
    this.ongrow();
  }

  // When it is complete.

  #showText() {
    this.prose.replaceChildren(...render(this.message.content));
    const thought = this.message.reasoning ?? '';
    this.reasoning.hidden = thought === '';
    if (thought) this.thoughts.replaceChildren(...render(thought));
  }

  #settle() {
    const {content, error} = this.message;
    this.#note(colophonLines(this.message));
    this.actions.hidden = false;
    this.copy.hidden = !content;
    const trouble = error ?? this.#shortcoming();
    this.trouble.hidden = trouble === '';
    this.trouble.textContent = trouble;
    this.trouble.classList.toggle('mild', !error);
  }

  /// What is to be said of an answer without an error, or ''.
  #shortcoming() {
    const {content, finish} = this.message;
    if (!finish) return this.elsewhere() ? 'Being answered in another tab …' : 'Broken off when the page was closed.';
    if (content !== '') return '';
    return finish === 'stopped' ? 'Stopped before anything was final.' : 'The answer is empty.';
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
          h('summary', {}, kSheetTitle), h('p', {class: 'caption'}, 'The steps of this answer are not kept any more.'));
  }
}
