// A question: what the reader asked, and the form in which it can be asked differently.
import {h, word} from './dom.mjs';
import {gridPieces} from './markdown.mjs';

/// The element of a message; `onedit(message, text)` when the reader asks something else instead.
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
