// What an empty conversation shows: a line that comes into focus, once, and a few things to ask.
import {byId, h, wantsStillness, word} from './dom.mjs';

const kHeadline = 'Text comes into focus.';
const kNoise = 'aeionrtslumdkvzgßøλж∂†%&§#?{}=+';
const kSteps = 14, kStepMs = 110;

const kSamples = [
  'Why is the sky blue?',
  'Write a haiku about fog lifting',
  'Write a Python function that checks whether a number is prime',
];
// The pocket model (models/pocket) knows Sudokus and text diffusion, and nothing else.
const kPocketSamples = [
  'Solve this Sudoku:\n34.251\n51.46.\n..31.2\n1.4.3.\n2..314\n4..5.6',
  'What are you?',
  'What is text diffusion?',
];

/// Things to ask the served model; `onask(text)` is called for one.
export function showSamples(model, onask) {
  const samples = !model ? [] : /pocket/i.test(model.id) ? kPocketSamples : kSamples;
  byId('samples').replaceChildren(
      ...samples.map((text) => h('li', {}, word(text.split(':\n')[0], () => onask(text), {class: 'sample'}))));
}

/// The empty conversation.
export function showWelcome(model, onask) {
  showSamples(model, onask);
  focusHeadline();
}

/// Letters settle in an order that looks random, each through the levels of focus that tokens go through.
function focusHeadline() {
  const letters = [...kHeadline].map(
      (letter, i) =>
          ({letter, at: 3 + (i * 7919 + 13) % 37 / 37 * (kSteps - 5), node: h('span', {'aria-hidden': 'true'})}));
  // Words stay whole, wherever the line breaks.
  const words = [[]];
  for (const item of letters) {
    if (item.letter === ' ')
      words.push([]);
    else
      words.at(-1).push(item);
  }
  byId('headline')
      .replaceChildren(
          ...words.flatMap((word, i) => [i ? ' ' : '', h('span', {class: 'whole'}, ...word.map(({node}) => node))]));
  const draw = (step) => {
    for (const {letter, at, node} of letters) {
      const level = Math.max(0, Math.min(6, Math.floor(6 - (at - step) * 1.2)));
      node.className = `t f${level}`;
      node.textContent = level === 0 ? kNoise[Math.floor(Math.random() * kNoise.length)] : letter;
    }
  };
  if (wantsStillness()) {
    draw(kSteps * 2);
    return;
  }
  let step = 0;
  draw(step);
  const timer = setInterval(() => {
    draw(++step);
    if (step >= kSteps) clearInterval(timer);
  }, kStepMs);
}
