// Markdown as models write it: parsed to a tree of plain objects, then built as DOM nodes with textContent. Model text
// is never HTML: a tag in it is text like any other. What CommonMark has and models rarely use (reference links, HTML
// blocks, indented code, images) is left as text. Work is linear in the text, apart from nesting, which is limited.
// Test: tests/server/page_modules_test.mjs.
import {copyButton, h} from './dom.mjs';

const kMaxDepth = 8;
const kFence = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`\s]*)[^`]*$/;
const kHeading = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const kRule = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const kItem = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+(.*)|[ \t]*)$/;
const kQuote = /^ {0,3}> ?(.*)$/;
const kTableRule = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const kFigures = /^[\d._|+ -]+$/;
const blank = (line) => line.trim() === '';

/// Blocks: {type: 'paragraph'|'heading'|'code'|'grid'|'rule'|'quote'|'list'|'table', ...}.
export function parse(text, depth = 0) {
  const lines = Array.isArray(text) ? text : text.replaceAll('\r\n', '\n').replaceAll('\t', '    ').split('\n');
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    if (blank(lines[at])) {
      ++at;
      continue;
    }
    const [block, next] = readBlock(lines, at, depth);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

function readBlock(lines, at, depth) {
  const line = lines[at];
  const fence = kFence.exec(line);
  if (fence) return readCode(lines, at, fence);
  const heading = kHeading.exec(line);
  if (heading)
    return [{type: 'heading', level: heading[1].length, inline: parseInline(headingText(heading[2]))}, at + 1];
  if (kRule.test(line)) return [{type: 'rule'}, at + 1];
  if (depth < kMaxDepth && kQuote.test(line)) return readQuote(lines, at, depth);
  if (depth < kMaxDepth && kItem.test(line)) return readList(lines, at, depth);
  if (line.includes('|') && at + 1 < lines.length && lines[at + 1].includes('-') && kTableRule.test(lines[at + 1]))
    return readTable(lines, at);
  return readParagraph(lines, at, depth);
}

const headingText = (text) => text.trimEnd().replace(/(?<=^|[ \t])#+$/, '').trimEnd();

/// A fence that never closes takes the rest: a text that is still being written.
function readCode(lines, at, [whole, fence, language]) {
  const indent = whole.indexOf(fence[0]);
  const code = [];
  let next = at + 1;
  for (; next < lines.length; ++next) {
    const line = lines[next].trim();
    if (line.startsWith(fence) && line === fence[0].repeat(line.length))
      return [{type: 'code', language, text: code.join('\n')}, next + 1];
    code.push(lines[next].slice(Math.min(indent, lines[next].length - lines[next].trimStart().length)));
  }
  return [{type: 'code', language, text: code.join('\n')}, next];
}

function readQuote(lines, at, depth) {
  const inner = [];
  let next = at;
  for (; next < lines.length && !blank(lines[next]); ++next) inner.push(kQuote.exec(lines[next])?.[1] ?? lines[next]);
  return [{type: 'quote', blocks: parse(inner, depth + 1)}, next];
}

function readList(lines, at, depth) {
  const first = kItem.exec(lines[at]);
  const ordered = /\d/.test(first[2]);
  const list = {type: 'list', ordered, start: ordered ? parseInt(first[2], 10) : 1, loose: false, items: []};
  const outer = first[1].length;
  let next = at;
  while (next < lines.length) {
    const item = kItem.exec(lines[next]);
    if (!item || item[1].length > outer + 3 || item[1].length < outer || /\d/.test(item[2]) !== ordered ||
        kRule.test(lines[next]))
      break;
    const indent = item[1].length + item[2].length + 1;
    const inner = [item[3] ?? ''];
    for (++next; next < lines.length; ++next) {
      const line = lines[next];
      if (blank(line)) {
        const after = lines.slice(next + 1, next + 3).find((later) => !blank(later));
        if (after === undefined || leading(after) < Math.min(indent, outer + 2)) break;
      } else if (
          leading(line) < Math.min(indent, outer + 2) &&
          (kItem.test(line) || startsBlock(line) || blank(lines[next - 1]))) {
        break;
      }
      inner.push(line.slice(Math.min(leading(line), indent)));
    }
    list.items.push(parse(inner, depth + 1));
    list.loose ||= inner.some((line, i) => blank(line) && i > 0 && i + 1 < inner.length);
    let peek = next;
    while (peek < lines.length && blank(lines[peek])) ++peek;
    if (peek > next && peek < lines.length && kItem.test(lines[peek])) next = peek;
  }
  return [list, Math.max(next, at + 1)];
}

const leading = (line) => line.length - line.trimStart().length;
const startsBlock = (line) => kFence.test(line) || kHeading.test(line) || kRule.test(line) || kQuote.test(line);

function cells(line) {
  const row = line.trim().replace(/^\|/, '').replace(/\|$/, '');
  return row.split(/(?<!\\)\|/).map((cell) => parseInline(cell.replaceAll('\\|', '|').trim()));
}

function readTable(lines, at) {
  const align = lines[at + 1].trim().replace(/^\||\|$/g, '').split('|').map((cell) => {
    const rule = cell.trim();
    return rule.endsWith(':') ? (rule.startsWith(':') ? 'center' : 'right') : 'left';
  });
  const rows = [];
  let next = at + 2;
  for (; next < lines.length && lines[next].includes('|') && !blank(lines[next]); ++next) rows.push(cells(lines[next]));
  return [{type: 'table', align, head: cells(lines[at]), rows}, next];
}

function readParagraph(lines, at, depth) {
  const inner = [lines[at].trimStart()];
  let next = at + 1;
  for (; next < lines.length && !blank(lines[next]); ++next) {
    if (startsBlock(lines[next]) || (depth < kMaxDepth && /^ {0,3}(?:[-*+]|1[.)])[ \t]/.test(lines[next]))) break;
    inner.push(lines[next].trimStart());
  }
  if (isGrid(inner)) return [{type: 'grid', text: inner.join('\n')}, next];
  return [{type: 'paragraph', inline: parseInline(inner.join('\n'))}, next];
}

/// Three or more lines of figures, all of one length: a puzzle's board or the like, which wants cells of one width.
const isGrid = (lines) => lines.length >= 3 &&
    lines.every((line) => line.length === lines[0].length && line.length >= 3 && kFigures.test(line));

/// A plain text in pieces, grids and what stands between fences apart: [{kind: 'text'|'grid'|'code', text}].
export function plainPieces(text) {
  const pieces = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length;) {
    const fence = kFence.exec(lines[at]);
    if (fence) {
      const [code, next] = readCode(lines, at, fence);
      pieces.push({kind: 'code', text: code.text});
      at = next;
      continue;
    }
    let end = at;
    while (end < lines.length && kFigures.test(lines[end]) && lines[end].length === lines[at].length) ++end;
    const grid = isGrid(lines.slice(at, end));
    if (!grid) end = at + 1;
    if (!grid && pieces.at(-1)?.kind === 'text')
      pieces.at(-1).text += `\n${lines[at]}`;
    else
      pieces.push({kind: grid ? 'grid' : 'text', text: lines.slice(at, end).join('\n')});
    at = end;
  }
  return pieces;
}

// Inline: strings, and {type: 'strong'|'emphasis'|'struck'|'code'|'link'|'break', ...}.

const kPunctuation = /[!-/:-@[-`{-~]/;
const kAlphanumeric = /[\p{L}\p{N}]/u;
const kMaxLabel = 500, kMaxAddress = 2100;
const kSafeLink = /^(?:https?:\/\/|mailto:)[^\s<>"]+$/i;
const kMarks =
    [['***', 'both'], ['**', 'strong'], ['__', 'strong'], ['~~', 'struck'], ['*', 'emphasis'], ['_', 'emphasis']];

export function parseInline(text, depth = 0) {
  const nodes = [];
  const dead = new Set();  // marks that do not close in the rest of this text, so that no search is repeated
  let plain = '', at = 0;
  const flush = () => {
    if (plain) nodes.push(plain);
    plain = '';
  };
  while (at < text.length) {
    const read = readEscape(text, at) ?? readCodeSpan(text, at, dead) ?? readLink(text, at, depth) ??
        readAddress(text, at) ?? readMarked(text, at, depth, dead) ?? readBreak(text, at);
    if (!read) {
      plain += text[at++];
      continue;
    }
    if (typeof read.node === 'string')
      plain += read.node;
    else {
      flush();
      nodes.push(read.node);
    }
    at = read.next;
  }
  flush();
  return nodes;
}

function readEscape(text, at) {
  if (text[at] !== '\\' || !kPunctuation.test(text[at + 1] ?? '')) return null;
  return {node: text[at + 1], next: at + 2};
}

function readCodeSpan(text, at, dead) {
  if (text[at] !== '`') return null;
  let n = 1;
  while (text[at + n] === '`') ++n;
  const ticks = '`'.repeat(n);
  for (let end = dead.has(ticks) ? -1 : text.indexOf(ticks, at + n); end >= 0; end = text.indexOf(ticks, end + 1)) {
    if (text[end + n] === '`' || text[end - 1] === '`') continue;
    const code = text.slice(at + n, end).replaceAll('\n', ' ');
    return {node: {type: 'code', text: /^ .*[^ ].* $/.test(code) ? code.slice(1, -1) : code}, next: end + n};
  }
  dead.add(ticks);
  return {node: ticks, next: at + n};
}

function readLink(text, at, depth) {
  if (text[at] !== '[' || depth >= kMaxDepth) return null;
  const middle = text.slice(at, at + kMaxLabel).indexOf('](') + at;
  const end = middle < at ? -1 : closingParenthesis(text, middle + 2);
  if (end < 0) return null;
  const label = text.slice(at + 1, middle);
  const href = text.slice(middle + 2, end).trim().split(/\s/)[0].replace(/\\([()])/g, '$1');
  if (label.includes('[') || label.includes('\n\n') || !kSafeLink.test(href)) return null;
  return {node: {type: 'link', href, inline: parseInline(label, depth + 1)}, next: end + 1};
}

/// Where the parenthesis that was opened before `from` closes, or -1.
function closingParenthesis(text, from) {
  let open = 1;
  for (let i = from; i < Math.min(text.length, from + kMaxAddress); ++i) {
    if (text[i] === '\\')
      ++i;
    else if (text[i] === '(')
      ++open;
    else if (text[i] === ')' && --open === 0)
      return i;
  }
  return -1;
}

function readAddress(text, at) {
  if (text[at] !== 'h' || (at > 0 && kAlphanumeric.test(text[at - 1]))) return null;
  const match = /^https?:\/\/[^\s<>"`]+/.exec(text.slice(at, at + kMaxAddress));
  if (!match) return null;
  // What ends a sentence is not part of it, and neither is a parenthesis that was opened before it.
  let [href] = match, unopened = href.split(')').length - href.split('(').length;
  while (/[.,;:!?'"\]*_]$/.test(href) || (href.endsWith(')') && unopened-- > 0)) href = href.slice(0, -1);
  return href.length > 8 ? {node: {type: 'link', href, inline: [href]}, next: at + href.length} : null;
}

function readMarked(text, at, depth, dead) {
  if (!'*_~'.includes(text[at]) || depth >= kMaxDepth) return null;
  for (const [mark, type] of kMarks) {
    if (!text.startsWith(mark, at) || dead.has(mark)) continue;
    const start = at + mark.length;
    if (start >= text.length || /\s/.test(text[start])) continue;
    if (mark[0] === '_' && at > 0 && kAlphanumeric.test(text[at - 1])) continue;
    const end = closing(text, start, mark);
    if (end < 0) {
      dead.add(mark);
      continue;
    }
    const inline = parseInline(text.slice(start, end), depth + 1);
    const node = type === 'both' ? {type: 'strong', inline: [{type: 'emphasis', inline}]} : {type, inline};
    return {node, next: end + mark.length};
  }
  return null;
}

/// Where `mark` closes, or -1: after something that is not a space, outside code spans, and not part of a longer mark.
function closing(text, from, mark) {
  for (let i = from; i < text.length; ++i) {
    if (text[i] === '\\') {
      ++i;
      continue;
    }
    if (text[i] === '`') {
      const end = text.indexOf('`', i + 1);
      if (end > 0) {
        i = end;
        continue;
      }
    }
    if (text[i] !== mark[0]) continue;
    let run = 1;
    while (text[i + run] === mark[0]) ++run;
    const word = mark[0] === '_' && kAlphanumeric.test(text[i + run] ?? '');
    if (i > from && !/\s/.test(text[i - 1]) && !word &&
        (run === mark.length || run === 3 || (run > 3 && mark.length === 3)))
      return run === mark.length ? i : i + run - mark.length;
    i += run - 1;
  }
  return -1;
}

function readBreak(text, at) {
  if (text[at] !== '\n') return null;
  return {node: {type: 'break'}, next: at + 1};
}

// DOM.

const kInlineTags = {
  strong: 'strong',
  emphasis: 'em',
  struck: 's'
};

function inlineNodes(inline) {
  return inline.map((node) => {
    if (typeof node === 'string') return document.createTextNode(node);
    if (node.type === 'break') return h('br');
    if (node.type === 'code') return h('code', {}, node.text);
    if (node.type === 'link')
      return h('a', {href: node.href, target: '_blank', rel: 'noopener noreferrer'}, ...inlineNodes(node.inline));
    return h(kInlineTags[node.type], {}, ...inlineNodes(node.inline));
  });
}

function codeBlock({language, text}) {
  const code = h('pre', {tabindex: 0, 'aria-label': language ? `${language} code` : 'code'}, h('code', {}, text));
  return h(
      'figure', {class: 'code'}, h('figcaption', {}, h('span', {}, language || 'code'), copyButton(() => text)), code);
}

function itemNodes(blocks, loose) {
  return blocks.flatMap(
      (block) => (block.type === 'paragraph' && !loose ? inlineNodes(block.inline) : [blockNode(block)]));
}

function tableNode({align, head, rows}) {
  const cell = (tag, inline, column) =>
      h(tag, {class: align[column] ?? 'left', scope: tag === 'th' ? 'col' : null}, ...inlineNodes(inline));
  return h(
      'div', {class: 'table', tabindex: 0},
      h('table', {}, h('thead', {}, h('tr', {}, ...head.map((inline, i) => cell('th', inline, i)))),
        h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map((inline, i) => cell('td', inline, i)))))));
}

function blockNode(block) {
  switch (block.type) {
    case 'heading':
      return h(`h${Math.min(6, block.level + 2)}`, {}, ...inlineNodes(block.inline));
    case 'code':
      return codeBlock(block);
    case 'grid':
      return h('pre', {class: 'grid'}, block.text);
    case 'rule':
      return h('hr');
    case 'quote':
      return h('blockquote', {}, ...block.blocks.map(blockNode));
    case 'list':
      return h(
          block.ordered ? 'ol' : 'ul', block.ordered && block.start !== 1 ? {start: block.start} : {},
          ...block.items.map((item) => h('li', {}, ...itemNodes(item, block.loose))));
    case 'table':
      return tableNode(block);
    default:
      return h('p', {}, ...inlineNodes(block.inline));
  }
}

/// The nodes of a markdown text.
export function render(text) { return parse(text).map(blockNode); }
