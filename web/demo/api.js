// Calls of Nova's API, as a person with a token.

export class Api {
  constructor(token) {
    this.token = token;
  }

  async call(method, path, body) {
    const answer = await fetch(path, {
      method,
      headers: {
        ...(this.token && { Authorization: `Bearer ${this.token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const said = answer.status === 204 ? null : await answer.json();
    if (!answer.ok) throw new Error(`${said.title ?? answer.status}: ${said.detail ?? ''}`);
    return said;
  }

  get(path) { return this.call('GET', path); }
  post(path, body = {}) { return this.call('POST', path, body); }
  patch(path, body) { return this.call('PATCH', path, body); }
}
