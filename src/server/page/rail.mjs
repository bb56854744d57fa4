// The list of conversations at the page's side, which is a drawer on a phone.
import {byId, h, word} from './dom.mjs';

let listed = '';

/// `items`: [{id, title, current, busy}]; `onremove(id)`.
export function list(items, onremove) {
  if (JSON.stringify(items) === listed) return;  // what is pointed at stays what it is
  listed = JSON.stringify(items);
  byId('conversations').replaceChildren(...items.map(({id, title, current, busy}) => {
    const link =
        h('a', {href: `#${id}`, title, 'aria-current': current ? 'page' : null}, title,
          busy ? h('span', {class: 'visually-hidden'}, ', being answered') : null);
    const remove = word('×', () => onremove(id), {class: 'remove', 'aria-label': `Delete “${title}”`});
    return h('li', {class: busy ? 'busy' : null}, link, remove);
  }));
}

export const isOpen = () => document.body.classList.contains('rail-open');

export function open() {
  set(true);
  byId('new').focus();
}

export function close() {
  if (!isOpen()) return;
  set(false);
  byId('open-rail').focus();
}

function set(opened) {
  document.body.classList.toggle('rail-open', opened);
  byId('veil').hidden = !opened;
  byId('main').inert = opened;
  byId('open-rail').setAttribute('aria-expanded', String(opened));
}
