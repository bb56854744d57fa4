// Reads the service: server-sent events, and an answer as a sequence of small events. No DOM. What goes over the wire
// is described in docs/PAGE.md; tests/server/page_modules_test.mjs tests the reader.

/// Cuts a byte stream's text into the data of server-sent events.
export class EventParser {
  #rest = '';
  #data = [];

  /// Takes the next piece of text; gives the data of every event that it completed.
  push(text) {
    const events = [];
    this.#rest += text;
    let start = 0;
    for (let end = this.#lineEnd(start); end >= 0; end = this.#lineEnd(start)) {
      const line = this.#rest.slice(start, end);
      start = end + (this.#rest[end] === '\r' && this.#rest[end + 1] === '\n' ? 2 : 1);
      if (line === '') {
        if (this.#data.length) events.push(this.#data.join('\n'));
        this.#data = [];
      } else if (line.startsWith('data:')) {
        this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
    this.#rest = this.#rest.slice(start);
    return events;
  }

  /// Where the line that starts at `start` ends, or -1. A '\r' at the very end may be half of '\r\n'.
  #lineEnd(start) {
    for (let i = start; i < this.#rest.length; ++i) {
      if (this.#rest[i] === '\n') return i;
      if (this.#rest[i] === '\r') return i + 1 < this.#rest.length ? i : -1;
    }
    return -1;
  }
}

/// What the service said no with. `status` 0: it could not be reached, or broke off.
export class ServiceError extends Error {
  constructor(message, status, {retryAfter = 0, code = ''} = {}) {
    super(message);
    Object.assign(this, {status, retryAfter, code});
  }
}

async function errorOf(response) {
  let message = `The service answered ${response.status}.`, code;
  try {
    const body = await response.json();
    if (typeof body.error?.message === 'string') message = body.error.message;
    code = body.error?.code;
  } catch {
    // Not JSON: the status has to do.
  }
  return new ServiceError(
      message, response.status, {code, retryAfter: Number(response.headers.get('retry-after')) || 0});
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServiceError('The service cannot be reached. Is `dgemma serve` still running?', 0);
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

const headers = (key) => (key ? {authorization: `Bearer ${key}`} : {});

/// The served model: {id, diffusion: {...}} of GET /v1/models.
export async function servedModel(key, signal) {
  const list = await (await request('v1/models', {headers: headers(key), signal})).json();
  const model = list.data?.[0];
  if (!model) throw new ServiceError('The service lists no model.', 0);
  return model;
}

/// The events of one chunk: {type: 'diffusion'|'content'|'reasoning'|'finish'|'usage'|'error', value}.
export function* eventsOf(chunk) {
  if (chunk.error) {
    yield {type: 'error', value: String(chunk.error.message ?? 'The service reported an error.')};
    return;
  }
  if (chunk.diffusion) yield {type: 'diffusion', value: chunk.diffusion};
  const choice = chunk.choices?.[0];
  if (choice?.delta?.reasoning_content) yield {type: 'reasoning', value: choice.delta.reasoning_content};
  if (choice?.delta?.content) yield {type: 'content', value: choice.delta.content};
  if (choice?.finish_reason) yield {type: 'finish', value: choice.finish_reason};
  if (chunk.usage) yield {type: 'usage', value: chunk.usage};
}

/// Sends a request body (JSON text) and yields the answer's events until it ends. Throws ServiceError, and AbortError
/// when `signal` says stop.
export async function* chat(body, key, signal) {
  const response = await request('v1/chat/completions', {
    method: 'POST',
    signal,
    body,
    headers: {'content-type': 'application/json', ...headers(key)},
  });
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let finished = false;
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === 'AbortError' || signal.aborted) throw new DOMException('stopped', 'AbortError');
      throw new ServiceError('The service broke off in the middle of the answer.', 0);
    }
    if (piece.done) break;
    for (const data of parser.push(decoder.decode(piece.value, {stream: true}))) {
      if (data === '[DONE]') return;
      for (const event of eventsOf(JSON.parse(data))) {
        finished ||= event.type === 'finish' || event.type === 'error';
        yield event;
      }
    }
  }
  if (!finished) throw new ServiceError('The service broke off in the middle of the answer.', 0);
}
