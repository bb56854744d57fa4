// The history of one row of a canvas: a small card that says which tokens it held, step by step, and how sure the model
// was. One card serves the page; it follows the pointer or, with the keyboard, the row that the arrow keys reached.
import {byId, h, svg} from './dom.mjs';
import {kStates} from './trace.mjs';

const kWidth = 208, kHeight = 40;

/// Steps in a row with the same token as one run: [{text, from, to, state, entropy}].
export function runsOf(history) {
  const runs = [];
  for (const {step, text, state, entropy} of history) {
    const last = runs.at(-1);
    if (last && last.text === text && last.state === state)
      Object.assign(last, {to: step, entropy});
    else
      runs.push({text, state, from: step, to: step, entropy});
  }
  return runs;
}

function sparkline(history, now) {
  const top = Math.max(0.5, ...history.map((point) => point.entropy));
  const x = (i) => (history.length > 1 ? 2 + i * (kWidth - 4) / (history.length - 1) : kWidth / 2);
  const y = (entropy) => kHeight - 4 - entropy / top * (kHeight - 8);
  const points = history.map((point, i) => `${x(i).toFixed(1)},${y(point.entropy).toFixed(1)}`).join(' ');
  return svg(
      'svg', {
        class: 'sparkline',
        viewBox: `0 0 ${kWidth} ${kHeight}`,
        width: kWidth,
        height: kHeight,
        role: 'img',
        'aria-label': `Entropy from ${history[0].entropy.toFixed(2)} to ${history.at(-1).entropy.toFixed(2)} nats`
      },
      svg('path', {d: `M0 ${kHeight - 3.5}H${kWidth}`, class: 'ground'}), svg('polyline', {points}),
      svg('circle', {cx: x(now), cy: y(history[now].entropy), r: 3}));
}

const visible = (text) => (text === '' ? 'control or padding' : text.replaceAll('\n', '↵').replaceAll(' ', '␣'));

/// Shows the card for a row, beside its span. `now`: the frame on view.
export function showHistory(span, history, row, now) {
  const card = byId('history');
  const runs = runsOf(history);
  const shown = runs.length > 9 ? [...runs.slice(0, 3), null, ...runs.slice(-5)] : runs;
  card.replaceChildren(
      h('p', {class: 'caption'},
        `row ${row + 1}, step ${history[now].step + 1}: ${history[now].entropy.toFixed(3)} nats`),
      sparkline(history, now),
      h('ol', {},
        ...shown.map(
            (run) =>
                (run === null ?
                     h('li', {class: 'more'}, `… ${runs.length - 8} more`) :
                     h('li', {class: history[now].step >= run.from && history[now].step <= run.to ? 'now' : ''},
                       h('b', {}, run.from === run.to ? `${run.from + 1}` : `${run.from + 1}–${run.to + 1}`),
                       h('span', {class: run.text === '' ? 'piece none' : 'piece'}, visible(run.text)),
                       h('em', {}, kStates[run.state]))))));
  card.hidden = false;
  place(card, span.getBoundingClientRect());
}

export function hideHistory() { byId('history').hidden = true; }

function place(card, at) {
  const {width, height} = card.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, innerWidth - width - 8));
  const above = at.top - height - 10;
  card.style.left = `${left}px`;
  card.style.top = `${above > 8 ? above : Math.min(at.bottom + 10, innerHeight - height - 8)}px`;
}

/// Makes a canvas that is not live explorable: the pointer over a row, or one tab stop and the arrow keys.
/// `history(row)` gives {history, now}.
export function explore(view, length, history) {
  let current = 0;
  const root = view.root;
  const show = (row) => {
    current = row;
    const {history: past, now} = history(row);
    if (past.length) showHistory(view.span(row), past, row, now);
  };
  root.tabIndex = 0;
  root.setAttribute('role', 'group');
  root.setAttribute('aria-describedby', 'history');
  root.onpointerover = (event) => {
    const row = event.target.dataset?.row;
    if (row !== undefined) show(Number(row));
  };
  root.onpointerleave = (event) => {
    if (event.pointerType !== 'touch') hideHistory();  // a finger leaves as soon as it has tapped; blur hides then
  };
  root.onfocus = () => {
    if (root.matches(':focus-visible')) focusRow(current);
  };
  root.onblur = () => {
    view.span(current)?.removeAttribute('data-at');
    hideHistory();
  };
  root.onkeydown = (event) => {
    const move = {ArrowRight: 1, ArrowLeft: -1, Home: -length, End: length}[event.key];
    if (move === undefined) return;
    event.preventDefault();
    focusRow(Math.max(0, Math.min(length - 1, current + move)));
  };
  function focusRow(row) {
    view.span(current)?.removeAttribute('data-at');
    view.span(row)?.setAttribute('data-at', '');
    show(row);
  }
}
