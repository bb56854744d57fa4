// Helpers to build DOM nodes. All text goes in as textContent: nothing in this page parses text as HTML.

/// An element: h('p', {class: 'note', onclick: f, 'aria-label': 'x', dataset: {row: 1}}, 'text', child, ...).
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on'))
      node.addEventListener(name.slice(2), value);
    else if (name === 'dataset')
      Object.assign(node.dataset, value);
    else
      node.setAttribute(name === 'class' ? 'class' : name, value === true ? '' : String(value));
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const kSvg = 'http://www.w3.org/2000/svg';

export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS(kSvg, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/// A button that is a word. A class in `props` comes on top.
export function word(label, action, {class: more = '', ...props} = {}) {
  return h('button', {type: 'button', class: `word ${more}`.trim(), onclick: action, ...props}, label);
}

/// A button that copies what `text()` gives, and says whether it could.
export function copyButton(text) {
  const button = word('Copy', async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Not allowed';
    }
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1500);
  });
  return button;
}

/// Whether a key pressed in a text area sends it: Enter does, but where lines cannot be broken in another way, on a touch
/// keyboard.
export function sends(event) {
  return event.key === 'Enter' && !event.shiftKey && !event.isComposing && !matchMedia('(pointer: coarse)').matches;
}

export const wantsStillness = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/// Runs `paint` at most once a frame, however often the returned function is called.
export function oncePerFrame(paint) {
  let asked = 0;
  const ask = () => {
    if (!asked)
      asked = requestAnimationFrame(() => {
        asked = 0;
        paint();
      });
  };
  ask.now = () => {
    if (asked) cancelAnimationFrame(asked);
    asked = 0;
    paint();
  };
  return ask;
}

// A model that is done in a blink would show nothing of how it got there: a step stays for this long, as far as the
// whole answer is not held up for longer than the second number.
const kStepMs = 90, kHeldUpMs = 1500;

/// Waits before a draft is shown, if the one before was shown just now.
export function pace() {
  let shown = 0, left = wantsStillness() ? 0 : kHeldUpMs;
  return async () => {
    const wait = document.hidden ? 0 : Math.min(left, Math.max(0, shown + kStepMs - performance.now()));
    left -= wait;
    if (wait > 0)
      await new Promise((done) => {
        setTimeout(done, wait);
      });
    shown = performance.now();
  };
}

export const plural = (n, noun, many = `${noun}s`) => `${n} ${n === 1 ? noun : many}`;
