// Conversations, kept in this browser (IndexedDB): nothing of them is on the server.
//
// Two tables: conversations (texts), and traces (the canvases of one answer, the bulky part). Where the browser has no
// storage for us, or refuses to open it, everything is kept until the page is closed and the reader is told. When it is
// full, the oldest traces go first. Each save of a conversation gives it a new revision, by which a tab sees that
// another one has changed what it is about to write. Records that do not hold together (another version's, a broken
// disk's) are left out and counted, never shown half.

const kName = 'dgemma', kVersion = 1;
const kTracesKept = 200;

const asPromise = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function openDatabase() {
  const request = indexedDB.open(kName, kVersion);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('conversations', {keyPath: 'id'});
    request.result.createObjectStore('traces', {keyPath: 'id'}).createIndex('created', 'created');
  };
  return asPromise(request);
}

const isText = (value) => typeof value === 'string';

/// The conversation if it holds together, else null.
export function soundConversation(record) {
  const sound = isText(record?.id) && isText(record.title) && Number.isFinite(record.updated) &&
      Array.isArray(record.messages) &&
      record.messages.every(
          (message) => isText(message?.id) && isText(message.content) && ['user', 'assistant'].includes(message.role));
  return sound ? record : null;
}

export const newId =
    () => [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36).padStart(2, '0')).join('');

/// The tables where there is no IndexedDB.
class MemoryTable {
  #records = new Map();
  async all() { return [...this.#records.values()]; }
  async get(id) { return this.#records.get(id); }
  async put(record, allowed = () => true) {
    const put = allowed(this.#records.get(record.id));
    if (put) this.#records.set(record.id, structuredClone(record));
    return put;
  }
  async remove(id) { this.#records.delete(id); }
  async removeOldest() { return 0; }
}

class DatabaseTable {
  constructor(database, name) {
    this.database = database;
    this.name = name;
  }

  #table(mode) { return this.database.transaction(this.name, mode).objectStore(this.name); }
  all() { return asPromise(this.#table('readonly').getAll()); }
  get(id) { return asPromise(this.#table('readonly').get(id)); }
  remove(id) { return asPromise(this.#table('readwrite').delete(id)); }

  /// Puts the record if `allowed(the one that is kept)`, and gives whether it was; nothing comes in between. Resolves
  /// when it is on disk, which is later than when the request succeeded.
  put(record, allowed = () => true) {
    return new Promise((resolve, reject) => {
      const table = this.#table('readwrite');
      let put = false;
      table.get(record.id).onsuccess = ({target}) => {
        try {
          put = allowed(target.result);
          if (put) table.put(record);
        } catch (error) {
          reject(error);
          table.transaction.abort();
        }
      };
      table.transaction.oncomplete = () => resolve(put);
      table.transaction.onabort = () => reject(table.transaction.error);
    });
  }

  /// Removes all but the newest `keep` records (of a table with `created`); gives how many went.
  async removeOldest(keep) {
    const keys = await asPromise(this.#table('readonly').index('created').getAllKeys());
    const old = keys.slice(0, Math.max(0, keys.length - keep));
    const table = this.#table('readwrite');
    await Promise.all(old.map((key) => asPromise(table.delete(key))));
    return old.length;
  }
}

export class Store {
  #conversations;
  #traces;
  // What this tab knows to be kept. Conversations without a revision are from before there were any.
  #known = new Set([undefined]);  // revisions that it wrote or has taken over
  #seen = new Set();              // ids: where one of them is not there any more, it was removed

  /// `say(text)` tells the reader.
  static async open(say) {
    const store = new Store();
    store.say = say;
    try {
      const database = await openDatabase();
      store.#conversations = new DatabaseTable(database, 'conversations');
      store.#traces = new DatabaseTable(database, 'traces');
    } catch {
      store.#conversations = new MemoryTable();
      store.#traces = new MemoryTable();
      say('This browser keeps no data for this page: conversations last until it is closed.');
    }
    return store;
  }

  /// All conversations, newest first.
  async conversations() {
    const records = await this.#conversations.all();
    const sound = records.filter(soundConversation);
    if (sound.length < records.length)
      this.say(`${records.length - sound.length} kept conversation(s) could not be read and are left out.`);
    sound.forEach((record) => this.accept(record));
    return sound.sort((a, b) => b.updated - a.updated);
  }

  /// The conversation as it is kept, null if there is none.
  async read(id) {
    try {
      return soundConversation(await this.#conversations.get(id));
    } catch {
      return null;
    }
  }

  /// Takes note that the reader has this record before them, so that saving may replace it.
  accept({id, revision}) {
    this.#seen.add(id);
    this.#known.add(revision);
  }

  /// Gives 'saved'; without having saved anything 'changed' or 'removed', where another tab did that; and 'full'.
  async save(conversation) {
    const {id} = conversation;
    const record = {...conversation, revision: newId()};
    this.#known.add(record.revision);
    let outcome = 'saved';
    const done = await this.#put(this.#conversations, record, (kept) => {
      outcome = 'saved';
      if (!kept && this.#seen.has(id)) outcome = 'removed';
      if (kept && !this.#known.has(kept.revision)) outcome = 'changed';
      return outcome === 'saved';
    });
    if (done) this.#seen.add(id);
    return outcome === 'saved' && !done ? 'full' : outcome;
  }

  async remove(conversation) {
    this.#seen.add(conversation.id);
    await this.#conversations.remove(conversation.id);
    await Promise.all(conversation.messages.map((message) => this.#traces.remove(message.id)));
  }

  async saveTrace(id, record) {
    await this.#put(this.#traces, {id, created: Date.now(), ...record});
    await this.#traces.removeOldest(kTracesKept);
  }

  async trace(id) {
    try {
      return await this.#traces.get(id);
    } catch {
      return undefined;
    }
  }

  /// Keeps traces under further ids: pairs [from, to].
  async copyTraces(pairs) {
    for (const [from, to] of pairs) {
      const record = await this.trace(from);
      if (record) await this.#put(this.#traces, {...record, id: to});
    }
  }

  async removeTrace(id) { await this.#traces.remove(id); }

  /// Makes room where there is none; gives whether the record was put.
  async #put(table, record, allowed) {
    for (let keep = 50;; keep = Math.floor(keep / 4)) {
      try {
        return await table.put(record, allowed);
      } catch (error) {
        const made = error?.name === 'QuotaExceededError' && keep > 0 ? await this.#traces.removeOldest(keep) : -1;
        if (made < 0) {
          this.say('The browser would not keep this: it is gone when the page is closed.');
          return false;
        }
      }
    }
  }
}
