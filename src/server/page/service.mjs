// The service as the page knows it: the key it asks for, the model it has, and questions that outlive a change of
// either. How it is read is in stream.mjs. Test: tests/server/page_test.py.
import {byId} from './dom.mjs';
import {chat, servedModel, ServiceError} from './stream.mjs';

const kLoadingRetryMs = 1000, kUnreachableRetryMs = 3000;
const kKeyName = 'dgemma.key';

/// What can be a key (as server/auth.h says); anything else would not even go into a request's header.
export const isKey = (text) => /^[!-~]+$/.test(text);

function apiKey() {
  try {
    const key = sessionStorage.getItem(kKeyName) ?? '';
    if (isKey(key)) return key;
    sessionStorage.removeItem(kKeyName);
  } catch { /* no storage, no key */
  }
  return '';
}

function keepKey(key) {
  try {
    sessionStorage.setItem(kKeyName, key);
  } catch { /* asked again next time */
  }
}

function sayOfKey(problem) {
  byId('key-problem').textContent = problem;
  byId('key').setAttribute('aria-invalid', 'true');
}

export class Service {
  /// Of GET /v1/models; null while it is not known.
  model = null;
  #asking = null;  // promise of the dialog
  #connecting = false;

  /// `onmodel(model)`: another one than before; `say(text)` tells the reader, '' that all is well.
  constructor({onmodel, say}) {
    Object.assign(this, {onmodel, say});
    byId('ask-key').querySelector('form').addEventListener('submit', (event) => {
      if (event.submitter?.value !== 'use' || isKey(byId('key').value.trim())) return;
      event.preventDefault();
      sayOfKey('A key has letters, digits and signs of ASCII only, and no spaces.');
      byId('key').focus();
    });
    byId('key').addEventListener('input', () => byId('key').removeAttribute('aria-invalid'));
  }

  /// Tries until the model is known, or the reader gives no key.
  async connect() {
    if (this.#connecting) return;
    this.#connecting = true;
    while (!this.model) {
      try {
        await this.#meet();
      } catch (error) {
        if (error.status === 401) {
          if (await this.#askKey()) continue;
          this.say('Without a key the service does not answer.');
          break;
        }
        this.say(error.status === 503 ? 'The model is being loaded …' : error.message);
        await new Promise((done) => {
          setTimeout(done, error.status === 503 ? kLoadingRetryMs : kUnreachableRetryMs);
        });
      }
    }
    this.#connecting = false;
  }

  /// The events of an answer (stream.mjs, chat); `bodyFor(model)` makes the request. Where the service was started
  /// anew, perhaps with another model, it is asked once more.
  async * answer(bodyFor, signal) {
    let again = true, begun = false;
    for (;;) {
      try {
        if (!this.model) await this.#meet(signal);
        for await (const event of chat(bodyFor(this.model), apiKey(), signal)) {
          begun = true;
          yield event;
        }
        return;
      } catch (error) {
        if (!(error instanceof ServiceError) || begun) throw error;
        if (error.status === 401) {
          if (await this.#askKey()) continue;
          throw error;
        }
        const stale = this.model && [0, 404].includes(error.status);
        if (stale) this.model = null;
        if (stale && again) {
          again = false;
          continue;
        }
        if (!this.model) this.connect();
        throw error;
      }
    }
  }

  async #meet(signal) {
    this.model = await servedModel(apiKey(), signal);
    this.onmodel(this.model);
    this.say('');
  }

  /// Asks for a key; false when the reader declines. Whoever asks meanwhile gets the same answer.
  #askKey() {
    this.#asking ??= this.#openDialog().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  #openDialog() {
    const dialog = byId('ask-key');
    if (apiKey()) sayOfKey('The service does not know this key. Try another one.');
    return new Promise((resolve) => {
      dialog.onclose = () => {
        const use = dialog.returnValue === 'use';
        if (use) keepKey(byId('key').value.trim());
        resolve(use);
      };
      dialog.returnValue = '';
      if (!dialog.open) dialog.showModal();
    });
  }
}
