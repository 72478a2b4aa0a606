// Sends through other people's clients to Nova's simulators, and says what came of it, a line of JSON.
// node oracle.mjs apns|webpush|fcm '{…}'; node oracle.mjs service PORT is web-push-testing.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const [what, given] = process.argv.slice(2);
const say = (answer) => console.log(JSON.stringify(answer));

async function apns({ port, key, keyId, teamId, topic, devices, ca }) {
  const apn = require('@parse/node-apn');
  const provider = new apn.Provider({
    token: { key, keyId, teamId },
    address: '127.0.0.1',
    port,
    ca: [ca],
    production: true,
  });
  const note = new apn.Notification({ topic, alert: { title: 'Hi', body: 'from Node' }, badge: 1 });
  note.pushType = 'alert';
  note.collapseId = 'node';
  const { sent, failed } = await provider.send(note, devices);
  say({
    sent: sent.map((each) => each.device),
    failed: failed.map((each) => ({
      device: each.device,
      status: Number(each.status),
      reason: each.response?.reason ?? String(each.error),
      timestamp: each.response?.timestamp,
    })),
  });
  provider.shutdown();
}

async function webpush({ subscription, publicKey, privateKey, payload, subject }) {
  const push = require('web-push');
  const options = { vapidDetails: { subject, publicKey, privateKey }, TTL: 60, topic: 'node' };
  try {
    const { statusCode } = await push.sendNotification(subscription, payload, options);
    say({ status: statusCode });
  } catch (error) {
    say({ status: error.statusCode, body: error.body, error: String(error) });
  }
}

async function fcm({ url, project, tokens, accessToken }) {
  const http2 = require('node:http2');
  const connect = http2.connect;
  http2.connect = (_url, ...rest) => connect(url, ...rest); // it knows no other host than Google's
  const { initializeApp, deleteApp } = require('firebase-admin/app');
  const { getMessaging } = require('firebase-admin/messaging');
  const credential = {
    getAccessToken: async () => ({ access_token: accessToken, expires_in: 3600 }),
  };
  const app = initializeApp({ credential, projectId: project });
  const notification = { title: 'Hi', body: 'from Node' };
  const messages = tokens.map((token) => ({ token, notification, data: { a: '1' } }));
  const { responses } = await getMessaging(app).sendEach(messages);
  say(responses.map(({ success, messageId, error }) => ({ success, messageId, code: error?.code })));
  await deleteApp(app);
}

function service(port) {
  const WebPushTestingServer = require('web-push-testing/src/server.js');
  const { PushApiModel } = require('web-push-testing/src/PushApiModel.js');
  new WebPushTestingServer(new PushApiModel(), Number(port)).startServer();
}

await { apns, webpush, fcm, service }[what](JSON.parse(given));
