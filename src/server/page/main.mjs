// The page's own course: which conversation is open, what is being asked, and the parts around them. Everything else is
// in the modules that this one wires together. docs/PAGE.md tells how they divide the work.
import {AnswerView} from './answer_view.mjs';
import {statsOf} from './colophon.mjs';
import {forgetPalette} from './contact_sheet.mjs';
import {byId, h, pace, sends} from './dom.mjs';
import {questionTurn, titleOf, toldOf} from './question.mjs';
import * as rail from './rail.mjs';
import {Service} from './service.mjs';
import {requestBody, Settings} from './settings.mjs';
import {newId, Store} from './store.mjs';
import {ServiceError} from './stream.mjs';
import {Tabs} from './tabs.mjs';
import {showSamples, showWelcome} from './welcome.mjs';

// Each answer holds one of the six connections that browsers have to one service.
const kMostRunning = 4;

const settings = new Settings();
const narrow = matchMedia('(max-width: 52rem)');
let store, tabs;
let conversations = [];     // newest first
let open = null;            // the conversation on view; null: a new one, not kept until something is asked
let views = [];             // AnswerView of the turns on view
const running = new Map();  // of the conversations that are being answered: {view, abort}

const notices = new Map();
/// Tells the reader something about a topic ('service', 'store'), until it is said otherwise.
function say(topic, text) {
  notices.set(topic, text);
  const notice = byId('notice');
  notice.textContent = [...notices.values()].filter(Boolean).join(' ');
  notice.hidden = notice.textContent === '';
}

const service = new Service({
  say: (text) => say('service', text),
  onmodel: (model) => {
    byId('model').textContent = model.id;
    settings.setDefaults(model.diffusion);
    showSamples(model, ask);
  },
});

// Conversations.

function listConversations() {
  const isAnswered = (each) => running.has(each) || tabs.elsewhere.has(each.id);
  const items = conversations.map((each) => {
    return {id: each.id, title: each.title, current: each === open, busy: isAnswered(each)};
  });
  rail.list(items, (id) => removeConversation(find(id)));
}

const find = (id) => conversations.find((conversation) => conversation.id === id);

async function removeConversation(conversation) {
  if (!confirm(`Delete “${conversation.title}”? It is kept nowhere else.`)) return;
  forget(conversation);
  await store.remove(conversation);
  tabs.removed(conversation.id);
}

/// Takes a conversation off the page.
function forget(conversation) {
  running.get(conversation)?.abort.abort();
  conversations = conversations.filter((other) => other !== conversation);
  if (open === conversation) {
    history.replaceState(null, '', location.pathname);
    show(null);
  }
  listConversations();
}

function show(conversation) {
  open = conversation;
  showTurns(0);
  byId('welcome').hidden = conversation !== null;
  nameConversation();
  if (!conversation) showWelcome(service.model, ask);
  listConversations();
  rail.close();
  say('busy', '');
  say('tabs', '');
  updateShutter();
  if (conversation)
    goToEnd();
  else
    byId('scroller').scrollTop = 0;
}

function nameConversation() {
  byId('title').textContent = open?.title ?? '';
  document.title = open ? `${open.title} · dgemma` : 'dgemma';
}

/// Shows the messages from the one at `begin` on again.
function showTurns(begin) {
  cutTurns(begin);
  byId('turns').append(...(open?.messages.slice(begin) ?? []).map(turn));
}

function cutTurns(begin) {
  const turns = byId('turns');
  while (turns.children.length > begin) turns.lastChild.remove();
  views = views.filter((view) => view.root.isConnected);
}

function turn(message) {
  if (message.role === 'user') return questionTurn(message, {onedit: edit});
  let view = running.get(open)?.view;
  if (view?.message === message)
    view.sheet.repaint();  // the theme may have changed meanwhile
  else
    view = AnswerView.kept(message, answerActions(open, message));
  views.push(view);
  return view.root;
}

function answerActions(conversation, message) {
  return {
    onretry: retry,
    ongrow: () => follow(conversation),
    announce: (text) => announce(conversation, text),
    loadTrace: () => store.trace(message.id),
    elsewhere: () => tabs.elsewhere.has(conversation.id),
  };
}

function showHash() {
  const id = location.hash.slice(1);
  const wanted = find(id) ?? null;
  if (wanted !== open || wanted === null) show(wanted);
}

// Other tabs.

/// Another tab has saved a conversation.
async function take(id) {
  await opened;
  const record = await store.read(id);
  const mine = find(id);
  if (!record || running.has(mine)) return;  // what is being answered here sees it when it is saved
  store.accept(record);
  if (!mine) {
    conversations.push(record);
  } else {
    const old = mine.messages, now = record.messages;
    let same = 0;  // messages, which stay as they are on view
    while (same < old.length && same < now.length && JSON.stringify(old[same]) === JSON.stringify(now[same])) ++same;
    Object.assign(mine, record, {messages: [...old.slice(0, same), ...now.slice(same)]});
    if (mine === open) {
      nameConversation();
      showTurns(same);
    }
  }
  conversations.sort((a, b) => b.updated - a.updated);
  listConversations();
}

/// Another tab has removed a conversation.
async function release(id) {
  await opened;
  const mine = find(id);
  if (!mine) return;
  forget(mine);
  say('tabs', `“${mine.title}” was deleted in another tab.`);
}

/// Another tab has begun or ended an answer.
async function mark(id) {
  await opened;
  listConversations();
  const last = open?.messages.at(-1);
  if (open?.id === id && !running.has(open) && last?.role === 'assistant' && !last.finish && !last.error)
    showTurns(open.messages.length - 1);
}

/// Another tab has changed what this one was about to save: this one's is kept beside it.
async function keepBoth(conversation) {
  const {id, title} = conversation;
  const traces = conversation.messages.map((message) => [message.id, newId()]);
  conversation.messages.forEach((message, i) => {
    message.id = traces[i][1];
  });
  Object.assign(conversation, {id: newId(), title: `${title} (2)`});
  if (running.has(conversation)) {
    tabs.answering(id, false);
    tabs.answering(conversation.id, true);
  }
  if (open === conversation) {
    history.replaceState(null, '', `#${conversation.id}`);
    nameConversation();
  }
  say('tabs', `“${title}” was changed in another tab. What stands here is kept as “${conversation.title}”.`);
  listConversations();
  await save(conversation);
  await store.copyTraces(traces);
  await take(id);
}

// Asking.

/// Whether nothing can be asked here now; says why.
function isBusy() {
  let why = '';
  if (running.has(open))
    why = 'This is still being answered: wait for the end, or stop it.';
  else if (open && tabs.elsewhere.has(open.id))
    why = 'This is being answered in another tab.';
  else if (running.size >= kMostRunning)
    why = `${kMostRunning} conversations are being answered: wait for one, or stop it.`;
  say('busy', why);
  if (why) tabs.lookAround();
  return why !== '';
}

function ask(text) {
  if (!text.trim() || isBusy()) return;
  for (const view of views) view.fold();
  if (!open) {
    open = {id: newId(), title: '', updated: 0, messages: []};
    conversations.unshift(open);
    history.replaceState(null, '', `#${open.id}`);
    byId('welcome').hidden = true;
  }
  if (open.messages.length === 0) {
    open.title = titleOf(text);
    nameConversation();
  }
  const message = {id: newId(), role: 'user', content: text.trim()};
  open.messages.push(message);
  byId('turns').append(turn(message));
  answer();
}

/// Whether a message and all after it may be forgotten: asks, where later questions are among them.
function mayCut(message) {
  const later = open.messages.slice(open.messages.indexOf(message) + 1).filter(({role}) => role === 'user').length;
  if (later === 0) return true;
  const those = later === 1 ? 'The question after this one, and its answer, go' :
                              `The ${later} questions after this one, and their answers, go`;
  return confirm(`${those}. They are kept nowhere else.`);
}

/// Forgets a message and all after it.
function cutAt(message) {
  const at = open.messages.indexOf(message);
  for (const gone of open.messages.splice(at)) store.removeTrace(gone.id);
  cutTurns(at);
}

function edit(message, text) {
  if (isBusy() || !mayCut(message)) return;
  cutAt(message);
  ask(text);
}

function retry(message) {
  if (isBusy() || !mayCut(message)) return;
  cutAt(message);
  answer();
}

async function answer() {
  const conversation = open;
  const history = toldOf(conversation.messages);
  const message = {id: newId(), role: 'assistant', content: '', reasoning: ''};
  const view = new AnswerView(message, answerActions(conversation, message));
  const abort = new AbortController();
  running.set(conversation, {view, abort});
  conversation.messages.push(message);
  views.push(view);
  byId('turns').append(view.root);
  byId('announcer').replaceChildren();
  view.begin();
  tabs.answering(conversation.id, true);
  touch(conversation);
  goToEnd();
  try {
    await receive(conversation, history, view, abort.signal);
  } catch (error) {
    if (error.name === 'AbortError')
      message.finish = 'stopped';
    else
      message.error = explain(error);
  }
  view.end();
  follow(conversation);
  running.delete(conversation);
  say('busy', '');
  updateShutter();
  try {
    await touch(conversation);
    if (!running.has(conversation)) tabs.answering(conversation.id, false);
    const record = view.traceRecord();
    if (record && isKept(conversation)) await store.saveTrace(message.id, record);
  } finally {
    view.kept();
  }
}

async function receive(conversation, messages, view, signal) {
  const {message} = view;
  const paced = pace();
  const bodyFor = (model) => requestBody(model.id, messages, settings.values, model.diffusion);
  for await (const {type, value} of service.answer(bodyFor, signal)) {
    if (type === 'diffusion' && value.type !== 'started') await paced();
    if (type === 'content')
      view.content(value);
    else if (type === 'reasoning')
      view.thought(value);
    else if (type === 'finish')
      message.finish = value;
    else if (type === 'usage')
      message.stats = statsOf(value, message.seed);
    else if (type === 'error')
      throw new ServiceError(value, 0);
    else
      receiveDiffusion(conversation, value, view);
    if (type === 'content' || type === 'reasoning') save(conversation);  // final, and come once a canvas
  }
}

function receiveDiffusion(conversation, event, view) {
  if (event.type === 'started') view.started(event);
  if (event.type === 'canvas') view.canvas(event);
  if (event.type === 'committed') view.committed(event);
  if (event.type !== 'draft') return;
  view.draft(event);
  if (conversation === open) byId('shutter').style.setProperty('--progress', view.progress);
}

function explain(error) {
  if (!(error instanceof ServiceError)) return `The page could not read the answer: ${error.message}`;
  if (error.status === 429)
    return `The service is busy${error.retryAfter ? `; try again in ${error.retryAfter} s` : ''}. ${error.message}`;
  if (error.code === 'context_length_exceeded')
    return `This is more than the model can read at once: begin a new conversation, or shorten it. (${error.message})`;
  return error.message;
}

/// Deleted is deleted: what still comes for it is kept nowhere.
const isKept = (conversation) => conversations.includes(conversation);

async function save(conversation) {
  if (!isKept(conversation)) return;
  const {id} = conversation;
  const outcome = await store.save(conversation);
  if (conversation.id !== id || !isKept(conversation)) return;  // a save before this one saw to it
  if (outcome === 'saved') tabs.saved(conversation);
  if (outcome === 'removed') await release(id);
  if (outcome === 'changed') await keepBoth(conversation);
}

async function touch(conversation) {
  if (!isKept(conversation)) return;
  conversation.updated = Date.now();
  conversations = [conversation, ...conversations.filter((other) => other !== conversation)];
  listConversations();
  updateShutter();
  await save(conversation);
}

/// Committed text of the conversation on view, for screen readers: only ever appended, never a draft.
function announce(conversation, text) {
  if (conversation === open) byId('announcer').append(h('p', {}, text));
}

// The parts around.

let following = true;
const endOfPage = () => views.at(-1)?.endOfPage(byId('scroller')) ?? 0;

function goToEnd() {
  byId('scroller').scrollTop = endOfPage();
  following = true;
}

/// Keeps the end in view while it is what the reader looks at.
function follow(conversation) {
  if (following && conversation === open && running.has(open)) byId('scroller').scrollTop = endOfPage();
}

function updateShutter() {
  const shutter = byId('shutter');
  const busy = running.has(open);
  shutter.classList.toggle('running', busy);
  shutter.setAttribute('aria-label', busy ? 'Stop' : 'Send');
  shutter.title = busy ? 'Stop' : 'Send';
  shutter.disabled = !busy && byId('prompt').value.trim() === '';
  shutter.style.setProperty('--progress', running.get(open)?.view.progress ?? 0);
}

function fitPrompt() {
  const prompt = byId('prompt');
  prompt.style.height = 'auto';
  const border = prompt.offsetHeight - prompt.clientHeight;  // part of the height, but not of what scrolls
  prompt.style.height = `${prompt.scrollHeight + border}px`;
  updateShutter();
}

async function submit() {
  await opened;
  if (isBusy()) return;
  const prompt = byId('prompt');
  const text = prompt.value;
  prompt.value = '';
  fitPrompt();
  ask(text);
}

const stop = () => running.get(open)?.abort.abort();

const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? 'dark' : 'light')) === 'dark';

function nameTheme() {
  byId('theme').textContent = isDark() ? 'Light' : 'Dark';
  byId('theme').setAttribute('aria-label', isDark() ? 'Light theme' : 'Dark theme');
  forgetPalette();
  for (const view of views) view.sheet.repaint();
}

function changeTheme() {
  const next = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem('dgemma.theme', next);
  } catch { /* lasts until the page is closed */
  }
  nameTheme();
}

/// Escape: closes what lies over the conversation, else goes back to an answer's text, else stops.
function leaveOrStop() {
  const scrubbed = views.find((view) => view.sheet.active);
  if (rail.isOpen())
    rail.close();
  else if (scrubbed)
    scrubbed.sheet.leave();
  else
    stop();
}

function newConversation() {
  if (location.hash)
    location.hash = '';
  else
    show(null);
  byId('prompt').focus();
}

function listen() {
  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    if (running.has(open))
      stop();
    else
      submit();
  });
  byId('prompt').addEventListener('input', fitPrompt);
  byId('prompt').addEventListener('keydown', (event) => {
    if (!sends(event)) return;
    event.preventDefault();
    submit();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !document.querySelector('dialog[open]')) leaveOrStop();
    const typing = event.target.closest?.('input, textarea, dialog');
    if (event.key === '/' && !typing) {
      event.preventDefault();
      byId('prompt').focus();
    }
  });
  byId('scroller').addEventListener('scroll', ({target}) => {
    following = Math.abs(target.scrollTop - endOfPage()) < 80;
  }, {passive: true});
  for (const id of ['new', 'new-narrow']) byId(id).addEventListener('click', newConversation);
  byId('theme').addEventListener('click', changeTheme);
  byId('open-settings').addEventListener('click', () => settings.open());
  byId('open-rail').addEventListener('click', rail.open);
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();  // the address names the conversation
    byId('prompt').focus();
  });
  byId('veil').addEventListener('click', rail.close);
  prefersDark.addEventListener('change', nameTheme);
  narrow.addEventListener('change', rail.close);
  addEventListener('hashchange', showHash);
}

/// Shows what is kept. Nothing can be asked before: it would be lost among the conversations that are still being read.
async function openStore() {
  store = await Store.open((text) => say('store', text));
  tabs = new Tabs({
    onsaved: take,
    onremoved: release,
    onanswering: mark,
    answering: () => [...running.keys()].map(({id}) => id),
  });
  conversations = await store.conversations();
  showHash();
}

listen();
nameTheme();
fitPrompt();
if (!narrow.matches) byId('prompt').focus();
const opened = openStore();
opened.then(() => service.connect());
