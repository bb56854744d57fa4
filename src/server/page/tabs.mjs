// What the tabs of this page tell each other, so that none shows old text or changes what another one is changing:
// which conversation was saved or removed, and which is being answered where. Where the browser has no BroadcastChannel
// for us a tab is alone; the store still sees that a record is not the one that it knew. Test:
// tests/server/page_test.py, with two tabs.
const kChannel = 'dgemma.tabs';

export class Tabs {
  #channel = null;
  #mine;

  /// Conversations (their ids) that other tabs are answering.
  elsewhere = new Set();

  /// `onsaved(id)`, `onremoved(id)`: another tab did; `onanswering(id)`: whether it is in `elsewhere` changed;
  /// `answering()`: the ids that this tab is answering.
  constructor({onsaved, onremoved, onanswering, answering}) {
    Object.assign(this, {onsaved, onremoved, onanswering});
    this.#mine = answering;
    try {
      this.#channel = new BroadcastChannel(kChannel);
    } catch {
      return;
    }
    this.#channel.onmessage = ({data}) => this.#hear(data);
    // What was being answered here is not any more.
    addEventListener('pagehide', () => this.#mine().forEach((id) => this.answering(id, false)));
    this.lookAround();
  }

  saved({id, updated}) { this.#tell({type: 'saved', id, updated}); }
  removed(id) { this.#tell({type: 'removed', id}); }
  answering(id, on) { this.#tell({type: 'answering', id, on}); }

  /// Asks again who is answering what: a tab that broke down did not say that it stopped.
  lookAround() {
    this.elsewhere.clear();
    this.#tell({type: 'hello'});
  }

  #tell(message) { this.#channel?.postMessage(message); }

  #hear({type, id, on}) {
    if (type === 'hello') this.#mine().forEach((each) => this.answering(each, true));
    if (type === 'saved') this.onsaved(id);
    if (type === 'removed') this.onremoved(id);
    if (type !== 'answering') return;
    if (on)
      this.elsewhere.add(id);
    else
      this.elsewhere.delete(id);
    this.onanswering(id);
  }
}
