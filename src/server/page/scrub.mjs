// An answer gone back to one of its steps: its text gives way to the canvas as it was then, whose rows tell their
// history, while the contact sheet stays where it is on the screen.
import {CanvasView} from './canvas_view.mjs';
import {h} from './dom.mjs';
import {explore, hideHistory} from './row_history.mjs';

export class Scrub {
  #view = null;
  #before = null;  // text of the canvases before the one on view
  #at = null;      // {canvas, frame}

  /// `parts`: {root, stage, prose, anchor}; `anchor` is what stays in place.
  constructor(parts) { Object.assign(this, parts); }

  show(trace, canvas, frame) {
    this.#inPlace(() => {
      if (!this.#view) this.#open(trace);
      if (this.#at?.canvas !== canvas) this.#before.textContent = trace.textBefore(canvas);
      this.#at = {canvas, frame};
      this.#view.draw(trace.view(canvas, frame));
    });
  }

  leave() {
    this.#inPlace(() => {
      this.#view = this.#at = null;
      this.root.classList.remove('scrubbing');
      this.stage.replaceChildren();
      this.stage.style.minHeight = '';
    });
  }

  #open(trace) {
    this.stage.style.minHeight = `${this.prose.getBoundingClientRect().height}px`;
    this.root.classList.add('scrubbing');
    this.#view = new CanvasView('The canvas at this step; arrow keys move through its rows');
    this.#before = h('span', {class: 'before'});
    this.stage.replaceChildren(this.#before, this.#view.root);
    explore(this.#view, trace.length, (row) => ({history: trace.history(this.#at.canvas, row), now: this.#at.frame}));
  }

  /// Makes a change and scrolls by as much as it moved the anchor.
  #inPlace(change) {
    const before = this.anchor.getBoundingClientRect().top;
    change();
    hideHistory();
    const scroller = this.root.closest('#scroller');
    if (scroller) scroller.scrollTop += this.anchor.getBoundingClientRect().top - before;
  }
}
