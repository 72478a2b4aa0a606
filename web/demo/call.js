// The same call in three languages: what a host app's backend sends.

import { tabs } from '../shared/tabs.js';

const $ = (id) => document.getElementById(id);
const indented = (body) => JSON.stringify(body, null, 2);

const languages = {
  curl: ({ method, path, body }) => [
    `curl -X ${method} ${location.origin}${path}`,
    '-H "Authorization: Bearer $SERVER_KEY"',
    // A quote inside of the body ends no argument of the shell.
    ...(body ? ['-H "Content-Type: application/json"', `-d '${indented(body).replaceAll("'", "'\\''")}'`] : []),
  ].join(' \\\n  '),

  python: ({ method, path, body }) => `import json, os, urllib.request

${body ? `body = json.dumps(${indented(body)}).encode()\n` : ''}request = urllib.request.Request(
    "${location.origin}${path}",
    method="${method}",
    headers={"Authorization": "Bearer " + os.environ["SERVER_KEY"]},
)
${body ? 'request.data = body\nrequest.add_header("Content-Type", "application/json")\n' : ''}print(urllib.request.urlopen(request).read().decode())`,

  javascript: ({ method, path, body }) => `const answer = await fetch("${location.origin}${path}", {
  method: "${method}",
  headers: {
    "Authorization": \`Bearer \${process.env.SERVER_KEY}\`,${body ? `
    "Content-Type": "application/json",` : ''}
  },${body ? `
  body: JSON.stringify(${indented(body)}),` : ''}
});
console.log(await answer.text());`,
};

// Shows the latest call in the language that was chosen.
export class ShownCall {
  #call = null;
  #language = 'curl';

  constructor() {
    tabs($('call').querySelector('[role="tablist"]'), (tab) => {
      this.#language = tab.dataset.tab;
      this.#show();
    });
  }

  set(call) {
    this.#call = call;
    this.#show();
  }

  #show() {
    if (this.#call) $('code').textContent = languages[this.#language](this.#call);
  }
}
