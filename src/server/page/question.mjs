// A question: what the reader asked, what a conversation is called after it, what of earlier ones the service is told,
// and the form in which it can be asked differently.
import {h, sends, word} from './dom.mjs';
import {plainPieces} from './markdown.mjs';

const kTitleLength = 60, kShortestCut = 40;

/// The title of a conversation that begins with this text: its first line that says something, prose before code,
/// without markdown's marks.
export function titleOf(text) {
  const pieces = plainPieces(text);
  const ordered = [...pieces.filter(({kind}) => kind !== 'code'), ...pieces.filter(({kind}) => kind === 'code')];
  const line = ordered.flatMap((piece) => piece.text.split('\n'))
                   .map((each) => each.replace(/^(\s*([#>*+-]+|\d+[.)])\s)*/, ''))
                   .find((each) => /[\p{L}\p{N}]/u.test(each));
  return shortened((line ?? text).replace(/\s+/gu, ' ').trim().replace(/(?<=.):$/, ''));
}

/// At most kTitleLength characters, ended at a word where there is one.
function shortened(line) {
  const characters = [...line];
  if (characters.length <= kTitleLength) return line;
  const begin = characters.slice(0, kTitleLength).join('');
  const space = begin.lastIndexOf(' ');
  return `${space < kShortestCut ? begin : begin.slice(0, space)} …`;
}

/// What the service is told of a conversation: all but questions that failed without an answer, of which one that was
/// too long would otherwise stand in the way of all that follow.
export function toldOf(messages) {
  const failed = (message) => Boolean(message?.error) && !message.content;
  return messages.filter((message, i) => message.content && !failed(messages[i + 1]))
      .map(({role, content}) => ({role, content}));
}

/// The element of a message; `onedit(message, text)` when the reader asks something else instead.
export function questionTurn(message, {onedit}) {
  const text = h(
      'div', {class: 'asked'}, ...plainPieces(message.content).map((piece) => h('p', {class: piece.kind}, piece.text)));
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
      if (sends(event)) {
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
