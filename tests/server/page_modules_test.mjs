// The page's modules that need no browser: the stream reader, the trace, markdown's tree, the request, what is kept.
//
//     node --test tests/server/page_modules_test.mjs       (CTest runs it where Node.js is installed)
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';

const page = new URL('../../src/server/page/', import.meta.url);
const load = (name) => import(new URL(name, page));
const {EventParser, eventsOf} = await load('stream.mjs');
const {Trace, focusLevel, kStateNumbers} = await load('trace.mjs');
const {plainPieces, parse, parseInline} = await load('markdown.mjs');
const {areCrossed, kKnobs, problemWith, requestBody} = await load('settings.mjs');
const {soundConversation} = await load('store.mjs');
const {runsOf} = await load('row_history.mjs');
const {rowLook} = await load('canvas_view.mjs');
const {colophonLines, statsOf} = await load('colophon.mjs');
const {titleOf, toldOf} = await load('question.mjs');
const {sends} = await load('dom.mjs');

test('Enter sends, but breaks a line where it is the only key for that', () => {
  const key = {key: 'Enter', shiftKey: false, isComposing: false};
  const keys = [key, {...key, shiftKey: true}, {...key, isComposing: true}, {...key, key: 'a'}];
  try {
    globalThis.matchMedia = () => ({matches: false});
    assert.deepEqual(keys.map(sends), [true, false, false, false]);
    globalThis.matchMedia = (query) => ({matches: query === '(pointer: coarse)'});
    assert.deepEqual(keys.map(sends), [false, false, false, false]);
  } finally {
    delete globalThis.matchMedia;
  }
});

test('the notes on an answer count its steps per canvas and what the cache spared', () => {
  const usage = {
    prompt_tokens: 59,
    completion_tokens: 120,
    prompt_tokens_details: {cached_tokens: 55},
    diffusion: {steps_per_canvas: [20, 11], tokens_per_forward: 3.87, timing: {total_s: 0.5}},
  };
  assert.deepEqual(colophonLines({stats: statsOf(usage, '7'), finish: 'stop'}), [
    ['120 tokens', 'of the answer'],
    ['16 steps per canvas', '31 on 2 canvases'],
    ['3.9 tokens', 'per forward pass'],
    ['240 tokens/s', '0.50 s in all'],
    ['59 prompt tokens', '55 from the cache'],
    ['seed 7', ''],
    ['ended with its stop token', ''],
  ]);
});

test('a question that failed without an answer is not told again', () => {
  const said = (...pairs) => pairs.map(([role, content, error]) => ({id: 'x', role, content, error}));
  const told = (...pairs) => toldOf(said(...pairs)).map(({content}) => content).join();
  assert.equal(told(['user', 'a'], ['assistant', 'b'], ['user', 'c']), 'a,b,c');
  assert.equal(told(['user', 'a'], ['assistant', '', 'too long'], ['user', 'c']), 'c');
  assert.equal(told(['user', 'a'], ['assistant', 'half', 'broke off'], ['user', 'c']), 'a,half,c');
  assert.equal(told(['user', 'a'], ['assistant', ''], ['user', 'c']), 'a,c');
  assert.deepEqual(toldOf(said(['user', 'a'])), [{role: 'user', content: 'a'}]);
});

test('a conversation is called after the first line that says something', () => {
  assert.equal(titleOf('\n \n  Who are you?  \nReally?'), 'Who are you?');
  assert.equal(titleOf('## A *plan*\n'), 'A *plan*');
  assert.equal(titleOf('---\n> - quoted\tpoint'), 'quoted point');
  assert.equal(titleOf('1. first\n2. second'), 'first');
  assert.equal(titleOf('```python\n\nprint(1)\n```'), 'print(1)');
  assert.equal(titleOf('```\n#include <x>\n```\nWhat is this?'), 'What is this?');
  assert.equal(titleOf('.4.2.1\n5.2.6.'), '.4.2.1');
  assert.equal(titleOf('```'), '```');
  assert.equal(titleOf('Solve this Sudoku:\n.5....'), 'Solve this Sudoku');
  assert.equal(titleOf(' ?!\n🙂 '), '?! 🙂');
});

test('a long title ends at a word, and never within a character', () => {
  assert.equal(titleOf('word '.repeat(30)), `${'word '.repeat(11)}word …`);
  assert.equal(titleOf('x'.repeat(61)), `${'x'.repeat(60)} …`);
  assert.equal(titleOf('🙂'.repeat(61)), `${'🙂'.repeat(60)} …`);
  assert.equal(titleOf('🙂'.repeat(60)), '🙂'.repeat(60));
});

test('events are cut the same wherever the stream is cut', () => {
  const text =
      'data: {"a":1}\n\n: comment\r\ndata:two\r\ndata: lines\r\n\r\nevent: x\ndata: é🙂\n\ndata: unfinished';
  const whole = ['{"a":1}', 'two\nlines', 'é🙂'];
  assert.deepEqual(new EventParser().push(text), whole);
  for (let cut = 0; cut <= text.length; ++cut) {
    const parser = new EventParser();
    assert.deepEqual([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))], whole, `cut at ${cut}`);
  }
  const parser = new EventParser();
  assert.deepEqual([...text].flatMap((letter) => parser.push(letter)), whole);
});

test('a chunk gives its events in the order in which they are to be shown', () => {
  const chunk = {
    diffusion: {type: 'committed'},
    usage: {total_tokens: 1},
    choices: [{delta: {content: 'c', reasoning_content: 'r'}, finish_reason: 'stop'}]
  };
  assert.deepEqual(
      [...eventsOf(chunk)].map((event) => event.type), ['diffusion', 'reasoning', 'content', 'finish', 'usage']);
  assert.deepEqual([...eventsOf({error: {message: 'no memory'}, choices: []})], [{type: 'error', value: 'no memory'}]);
  assert.deepEqual([...eventsOf({choices: [{delta: {}, finish_reason: null}]})], []);
});

function smallTrace() {
  const trace = new Trace({canvas_length: 3, seed: '18446744073709551615'});
  const row = (row, text, entropy, state) => ({row, text, entropy, state});
  trace.add({
    canvas: 0,
    step: 0,
    max_steps: 4,
    mean_entropy: 3,
    temperature: 0.8,
    rows: [row(0, 'x', 5, 'noise'), row(1, 'y', 1.5, 'draft'), row(2, '', 4, 'noise')]
  });
  trace.add({
    canvas: 0,
    step: 1,
    max_steps: 4,
    mean_entropy: 1,
    temperature: 0.7,
    rows: [row(1, ' b', 0.1, 'accepted'), row(2, '', 0, 'draft')]
  });
  trace.add({
    canvas: 0,
    step: 2,
    max_steps: 4,
    mean_entropy: 0,
    temperature: 0.6,
    rows: [row(0, 'a', 0, 'accepted'), row(1, ' b', 0, 'settled')]
  });
  trace.commit({canvas: 0, steps: 3, converged: true});
  return trace;
}

test('a canvas is what all frames up to it changed', () => {
  const trace = smallTrace();
  assert.deepEqual(trace.view(0, 0).texts, ['x', 'y', '']);
  assert.deepEqual(trace.view(0, 1).texts, ['x', ' b', '']);
  assert.deepEqual(trace.view(0, 2).texts, ['a', ' b', '']);
  assert.deepEqual([...trace.view(0, 2).states], [kStateNumbers.accepted, kStateNumbers.settled, kStateNumbers.draft]);
  assert.equal(trace.view(0, 2).accepted, 2);
  assert.equal(trace.textBefore(1), 'a b');
  assert.equal(trace.frameCount, 3);
});

test('padding is the run of empty rows at the end, and noise is not padding', () => {
  const trace = smallTrace();
  assert.equal(trace.view(0, 0).paddingStart(), 3);
  assert.equal(trace.view(0, 1).paddingStart(), 2);
});

test('a row\'s history has every step, unchanged ones too, and makes runs', () => {
  const history = smallTrace().history(0, 0);
  assert.deepEqual(history.map((point) => point.text), ['x', 'x', 'a']);
  assert.deepEqual(runsOf(history).map(({text, from, to}) => [text, from, to]), [['x', 0, 1], ['a', 2, 2]]);
});

test('a kept trace comes back the same, and a damaged one not at all', () => {
  const record = () => structuredClone(smallTrace().record());
  assert.deepEqual(Trace.fromRecord(record()).view(0, 2), smallTrace().view(0, 2));
  assert.equal(Trace.fromRecord(record()).seed, '18446744073709551615');
  const damages = [
    (r) => {
      r.length = 0;
    },
    (r) => {
      r.texts = 'abc';
    },
    (r) => {
      r.texts.length = 1;
    },
    (r) => {
      r.canvases[0] = null;
    },
    (r) => {
      r.canvases[0].frames = [];
    },
    (r) => {
      r.canvases[0].frames[1] = null;
    },
    (r) => {
      r.canvases[0].frames[1].rows = 'ab';
    },
    (r) => {
      r.canvases[0].frames[1].rows[0] = 3;
    },
    (r) => {
      r.canvases[0].frames[1].states[0] = 9;
    },
    (r) => {
      r.canvases[0].frames[1].entropy = new Float32Array(1);
    },
    (r) => {
      r.canvases[0].frames[1].mean = 'x';
    },
  ];
  for (const damage of damages) {
    const damaged = record();
    damage(damaged);
    assert.equal(Trace.fromRecord(damaged), null, damage.toString());
  }
  assert.equal(Trace.fromRecord(undefined), null);
});

test('rows that a canvas does not have are left out', () => {
  const trace = new Trace({canvas_length: 2});
  trace.add({
    canvas: 0,
    step: 0,
    rows: [{row: 7, text: 'x', entropy: 0, state: 'draft'}, {row: -1, text: 'x', entropy: 0, state: 'draft'}]
  });
  assert.deepEqual(trace.view(0, 0).texts, ['', '']);
});

test('focus grows from noise over certainty to settled', () => {
  const {noise, draft, accepted, settled} = kStateNumbers;
  const levels =
      [[noise, 9], [draft, 99], [draft, 1.9], [draft, 1.4], [draft, 0.9], [draft, 0.01], [accepted, 0], [settled, 0]];
  assert.deepEqual(levels.map(([state, entropy]) => focusLevel(state, entropy)), [0, 1, 1, 2, 3, 4, 5, 6]);
});

test('what a row shows is short for noise and never hides a newline of noise', () => {
  assert.deepEqual(rowLook('\n\n', 0, 5), {text: '↵', look: 't f0'});
  assert.deepEqual(rowLook('   ', 0, 5), {text: '␣', look: 't f0'});
  assert.deepEqual(rowLook('international', 0, 5), {text: 'int', look: 't f0'});
  assert.equal(rowLook('\n\n', 3, 0).text, '\n\n');
  assert.equal(rowLook('', 3, 0, 'end').text, '∎');
  assert.equal(rowLook('', 3, 0, '').text, '·');
});

const types = (text) => parse(text).map((block) => block.type);

test('markdown blocks', () => {
  assert.deepEqual(
      types('# A\n\ntext\nmore\n\n- a\n- b\n\n1. c\n\n> q\n\n---\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```c\nx\n```'),
      ['heading', 'paragraph', 'list', 'list', 'quote', 'rule', 'table', 'code']);
  assert.deepEqual(parse('## Title ##')[0], {type: 'heading', level: 2, inline: ['Title']});
  assert.deepEqual(parse('```python\na\n\n  b\n```\nafter').map((b) => b.text ?? b.type), ['a\n\n  b', 'paragraph']);
  assert.deepEqual(parse('````\n```\n````')[0].text, '```');
  assert.deepEqual(parse('```\nnever closed')[0], {type: 'code', language: '', text: 'never closed'});
});

test('lines of figures of one length are a grid, in markdown and in plain text, where fences make code', () => {
  assert.deepEqual(parse('346251\n512463\n653142'), [{type: 'grid', text: '346251\n512463\n653142'}]);
  assert.deepEqual(types('12\n34\n56'), ['paragraph']);
  assert.deepEqual(types('123\n45\n678'), ['paragraph']);
  assert.deepEqual(plainPieces('Solve this:\nnow\n1.3\n..2\n3.1\nplease\n7'), [
    {kind: 'text', text: 'Solve this:\nnow'}, {kind: 'grid', text: '1.3\n..2\n3.1'}, {kind: 'text', text: 'please\n7'}
  ]);
  assert.deepEqual(
      plainPieces('See\n```c\nint a;\n\n1\n```\n# b'),
      [{kind: 'text', text: 'See'}, {kind: 'code', text: 'int a;\n\n1'}, {kind: 'text', text: '# b'}]);
  assert.equal(plainPieces('a\n\n\nb\n').map((piece) => piece.text).join('\n'), 'a\n\n\nb\n');
});

test('markdown lists nest, and stay tight or loose', () => {
  const [list] = parse('1. one\n   - inner\n   - inner 2\n2. two\n\n   paragraph\n');
  assert.equal(list.items.length, 2);
  assert.deepEqual(list.items[0].map((block) => block.type), ['paragraph', 'list']);
  assert.deepEqual(list.items[1].map((block) => block.type), ['paragraph', 'paragraph']);
  assert.equal(list.loose, true);
  assert.equal(parse('- a\n- b')[0].loose, false);
  assert.equal(parse('7. a\n8. b')[0].start, 7);
  assert.deepEqual(types('- a\n\ntext'), ['list', 'paragraph']);
});

test('markdown inline', () => {
  assert.deepEqual(parseInline('a **b** *c* `d*` ~~e~~'), [
    'a ', {type: 'strong', inline: ['b']}, ' ', {type: 'emphasis', inline: ['c']}, ' ', {type: 'code', text: 'd*'}, ' ',
    {type: 'struck', inline: ['e']}
  ]);
  assert.deepEqual(parseInline('2 * 3 * 4, snake_case_name, \\*no\\*'), ['2 * 3 * 4, snake_case_name, *no*']);
  assert.deepEqual(parseInline('**bold *and* more**')[0].inline[1].type, 'emphasis');
  assert.deepEqual(parseInline('see https://a.example/x_y.').at(-2).href, 'https://a.example/x_y');
  assert.deepEqual(parseInline('[t](https://a.example)')[0].href, 'https://a.example');
});

test('an address may have parentheses that close', () => {
  const page = 'https://a.example/Focus_(optics)';
  assert.deepEqual(parseInline(`[t](${page}), x)`).map((node) => node.href ?? node), [page, ', x)']);
  assert.deepEqual(parseInline(`[t](${page} "title") x`).map((node) => node.href ?? node), [page, ' x']);
  assert.equal(parseInline(String.raw`[t](https://a.example/\))`)[0].href, 'https://a.example/)');
  assert.ok(parseInline('[t](https://a.example/(').every((node) => node.type !== 'link' || node.inline[0] !== 't'));
  assert.equal(parseInline(`see ${page}.`)[1].href, page);
  assert.equal(parseInline(`(see ${page}).`)[1].href, page);
  assert.equal(parseInline('(see https://a.example/x).')[1].href, 'https://a.example/x');
});

test('no markdown makes a link that runs code', () => {
  for (const href
           of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'data:text/html,x', 'vbscript:x', ' javascript:x',
               '/relative', '//host'])
    assert.ok(parseInline(`[t](${href})`).every((node) => typeof node === 'string'), href);
});

test('markdown takes any text, and long hostile text in good time', () => {
  const n = 20000;
  for (const piece
           of ['*', '_', '`', '[', '](', '**a ', '> ', '- ', '# ', '|', '\\', '~~', '![', 'http://', '*a_', '1. \n',
               '[a](', 'http://a)', '#\n', '`a``'])
    assert.doesNotThrow(() => parse(piece.repeat(n / piece.length)), piece);
  parse(`# ${' '.repeat(n)}x`);
  parse(`${'> '.repeat(n)}x`);
  parse(`${' '.repeat(n)}- x`);
});

test('a request names what was chosen only, and a seed of 64 bits stays whole', () => {
  const plain = JSON.parse(requestBody('m', [{role: 'user', content: 'q'}], {}));
  assert.deepEqual(plain, {
    model: 'm',
    messages: [{role: 'user', content: 'q'}],
    stream: true,
    stream_options: {include_usage: true},
    diffusion: {drafts: true}
  });
  const text = requestBody('m', [{role: 'user', content: 'q'}], {
    seed: '18446744073709551615',
    t_max: '0.9',
    max_tokens: '64',
    system: 'Be brief.',
    thinking: true,
    temperature: '0'
  });
  assert.match(text, /"seed":18446744073709551615}$/);
  const body = JSON.parse(text);
  assert.deepEqual(body.diffusion, {drafts: true, t_max: 0.9});
  assert.equal(body.temperature, 0);
  assert.equal(body.max_tokens, 64);
  assert.deepEqual(body.messages[0], {role: 'system', content: 'Be brief.'});
  assert.deepEqual(body.chat_template_kwargs, {enable_thinking: true});
});

test('a knob says what is wrong with what was typed', () => {
  const steps = {min: 1, max: 48, whole: true};
  assert.equal(problemWith(steps, ''), '');
  assert.equal(problemWith(steps, '12'), '');
  for (const bad of ['0', '49', '1.5', 'x', 'NaN', 'Infinity']) assert.notEqual(problemWith(steps, bad), '', bad);
  assert.equal(problemWith({seed: true}, '18446744073709551615'), '');
  for (const bad of ['18446744073709551616', '-1', '1.5', '0x10', '1e3'])
    assert.notEqual(problemWith({seed: true}, bad), '', bad);
});

test('a knob takes what the service takes', async () => {
  const description = await readFile(new URL('../openapi.json', page), 'utf8');
  const {schemas} = JSON.parse(description).components;
  for (const knob of kKnobs.flatMap(({knobs}) => knobs).filter((each) => !each.seed)) {
    const limits = (knob.diffusion ? schemas.Diffusion : schemas.ChatRequest).properties[knob.name];
    assert.equal(knob.min, limits.minimum, knob.name);
    assert.ok(knob.max <= limits.maximum, knob.name);
    assert.equal(Boolean(knob.whole), [limits.type].flat().includes('integer'), knob.name);
  }
});

test('a last temperature above the first one is not sent, whichever of them was chosen', () => {
  const defaults = {t_min: 0.4, t_max: 0.8};
  const sent = (settings) => JSON.parse(requestBody('m', [], settings, defaults)).diffusion;
  assert.deepEqual(sent({t_max: '0.2'}), {drafts: true});
  assert.deepEqual(sent({t_min: '0.9', entropy_bound: '1'}), {drafts: true, entropy_bound: 1});
  assert.deepEqual(sent({t_min: '0.1', t_max: '0.2'}), {drafts: true, t_min: 0.1, t_max: 0.2});
  assert.ok(!areCrossed({t_min: '0.9'}, undefined));
});

test('a kept conversation that does not hold together is not taken', () => {
  const sound = {id: 'a', title: 't', updated: 1, messages: [{id: 'm', role: 'user', content: 'q'}]};
  assert.equal(soundConversation(sound), sound);
  for (const bad
           of [null, {}, {...sound, title: 1}, {...sound, messages: null}, {...sound, messages: [null]},
               {...sound, updated: 'x'}, {...sound, messages: [{id: 'm', role: 'system', content: 'q'}]},
               {...sound, messages: [{id: 'm', role: 'user'}]}])
    assert.equal(soundConversation(bad), null);
});
