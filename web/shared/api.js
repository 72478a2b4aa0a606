// Calls of Nova's API, with a token or a server key; it goes into a header and nowhere else.

export class Refused extends Error {
  constructor(status, said) {
    super(said.detail || said.title || `The answer was ${status}.`);
    this.status = status;
    this.code = said.code;
    this.hint = said.hint ?? '';
    this.at = said.at ?? ''; // where in the body, as in `$.name`
    this.problems = said.problems;
  }
}

// What was wrong, and how to mend it.
export function inWords(error) {
  return error.hint ? `${error.message} ${error.hint}` : error.message;
}

export class Api {
  constructor(token) {
    this.token = token;
  }

  async call(method, path, body) {
    const answer = await this.#asked(path, {
      method,
      credentials: 'omit',
      headers: {
        ...(this.token && { Authorization: `Bearer ${this.token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    return answer.status === 204 ? null : answer.json();
  }

  async #asked(path, how) {
    try {
      return await fetch(path, how);
    } catch {
      throw new Refused(0, {
        detail: 'Nova does not answer.', hint: 'Check that it is running, then try again.',
      });
    }
  }

  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value);
    const words = new URLSearchParams(given).toString();
    return this.call('GET', words ? `${path}?${words}` : path);
  }

  post(path, body = {}) { return this.call('POST', path, body); }
  put(path, body) { return this.call('PUT', path, body); }
  patch(path, body) { return this.call('PATCH', path, body); }
  delete(path) { return this.call('DELETE', path); }
}
