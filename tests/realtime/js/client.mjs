// A client of Nova's socket, as the SDK for JavaScript makes it; says what happens, a line of JSON each.
// node client.mjs ws|http_stream|sse json|protobuf http://127.0.0.1:8000 token channel
import { Centrifuge as JsonCentrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import EventSource from 'eventsource';
import WebSocket from 'ws';

const [transport, format, base, token, channel] = process.argv.slice(2);
const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const binary = format === 'protobuf';
const encoded = (data) => (binary ? new TextEncoder().encode(JSON.stringify(data)) : data);
const decoded = (data) => (binary ? JSON.parse(new TextDecoder().decode(data)) : data);

const endpoints = {
  ws: `${base.replace('http', 'ws')}/connection/websocket`,
  http_stream: [{ transport: 'http_stream', endpoint: `${base}/connection/http_stream` }],
  sse: [{ transport: 'sse', endpoint: `${base}/connection/sse` }],
};
const Client = binary ? ProtobufCentrifuge : JsonCentrifuge;
const client = new Client(endpoints[transport], {
  token,
  websocket: WebSocket,
  eventsource: EventSource,
  fetch: globalThis.fetch,
  readableStream: globalThis.ReadableStream,
  emulationEndpoint: `${base}/emulation`,
  minReconnectDelay: 20,
  maxReconnectDelay: 200,
  // On a machine that is busy with others.
  timeout: 300_000,
  maxServerPingDelay: 300_000,
});
const subscription = client.newSubscription(channel, { recoverable: true, joinLeave: true });

client.on('connected', (context) => say('connected', { transport: context.transport }));
client.on('disconnected', (context) => say('disconnected', { code: context.code }));
client.on('connecting', (context) => say('connecting', { code: context.code }));
subscription.on('publication', (context) => say('publication', { data: decoded(context.data) }));
subscription.on('join', (context) => say('join', { user: context.info.user }));
subscription.on('subscribed', (context) =>
  say('subscribed', { recovered: context.recovered, wasRecovering: context.wasRecovering }));

subscription.subscribe();
client.connect();
await subscription.ready();
await subscription.publish(encoded({ from: 'node' }));
const history = await subscription.history({ limit: 10 });
say('history', { data: history.publications.map((each) => decoded(each.data)) });
const present = await subscription.presence();
say('presence', { clients: Object.keys(present.clients).length });
const stats = await subscription.presenceStats();
say('stats', { clients: stats.numClients, users: stats.numUsers });
try {
  await client.rpc('nothing', encoded({}));
} catch (error) {
  say('refused', { code: error.code });
}
const answer = await client.rpc('echo', encoded({ text: 'hi' }));
say('answered', { data: decoded(answer.data) });
// The test ends the process.
setInterval(() => {}, 1000);
