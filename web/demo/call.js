// The same call in three languages: what a host app's backend sends.

const indented = (event) => JSON.stringify(event, null, 2);

export const languages = {
  curl: (event) => `curl ${location.origin}/v1/events \\
  -H "Authorization: Bearer $SERVER_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${indented(event)}'`,

  python: (event) => `import json, os, urllib.request

event = ${indented(event)}
request = urllib.request.Request(
    "${location.origin}/v1/events",
    json.dumps(event).encode(),
    {
        "Authorization": "Bearer " + os.environ["SERVER_KEY"],
        "Content-Type": "application/json",
    },
)
print(urllib.request.urlopen(request).read().decode())`,

  javascript: (event) => `const answer = await fetch("${location.origin}/v1/events", {
  method: "POST",
  headers: {
    "Authorization": \`Bearer \${process.env.SERVER_KEY}\`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify(${indented(event)}),
});
console.log(await answer.json());`,
};
