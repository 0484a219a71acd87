// Receive Settlepoint's notifications: verify, drop repeats, acknowledge. Node 18 or newer, no packages.
//
//   SETTLEPOINT_SECRET=... node receive.mjs PORT
//
// While a secret is being rotated, SETTLEPOINT_SECRET holds both, with a space between.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const SECRETS = (process.env.SETTLEPOINT_SECRET ?? '').split(' ').filter(Boolean);
const MAX_AGE_SECONDS = 300;
const MAX_BODY_BYTES = 1_000_000;
const handled = new Set(); // in your system: a table, written in the same transaction as the effect

// Whether one of our secrets signed these very bytes, and just now.
function isGenuine(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' } = headers;
  const isOurs = SECRETS.some((secret) => {
    const hmac = createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body);
    const expected = `v1,${hmac.digest('base64')}`;
    return signatures.split(' ').some((signature) => isEqual(expected, signature));
  });
  return isOurs && Math.abs(Date.now() / 1000 - Number(timestamp)) <= MAX_AGE_SECONDS;
}

// The alternative, by the Sud- headers. One of the two is enough.
function isGenuineSud(headers, body) {
  const { 'sud-appid': appId, 'sud-timestamp': timestamp, 'sud-nonce': nonce } = headers;
  const isOurs = SECRETS.some((secret) => {
    const hmac = createHmac('sha1', secret).update(`${appId}\n${timestamp}\n${nonce}\n`).update(body).update('\n');
    return isEqual(hmac.digest('hex'), headers['sud-signature'] ?? '');
  });
  return isOurs && Math.abs(Date.now() - Number(timestamp)) <= MAX_AGE_SECONDS * 1000;
}

function isEqual(expected, received) {
  const [a, b] = [Buffer.from(expected), Buffer.from(received)];
  return a.length === b.length && timingSafeEqual(a, b);
}

// Yours. Be quick, or put it into a queue of your own; leave events that you do not know alone.
function handle(notification) {
  console.log(notification.notify_event, notification.notify_id);
}

async function readBody(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk); // cut off, it is not genuine
  }
  return Buffer.concat(chunks);
}

const server = createServer(async (request, response) => {
  const answer = (status, retCode, retMsg) => {
    response.statusCode = status;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ ret_code: retCode, ret_msg: retMsg }));
  };
  try {
    const body = await readBody(request);
    if (!isGenuine(request.headers, body)) return answer(401, 1, 'not genuine');
    const notification = JSON.parse(body);
    if (!handled.has(notification.notify_id)) {
      handle(notification);
      handled.add(notification.notify_id);
    }
    answer(200, 0, '');
  } catch (error) { // whatever went wrong: it comes again
    console.error(error);
    answer(500, 1, 'not handled');
  }
});
server.requestTimeout = 10_000; // milliseconds; whoever sends slower is cut off

if (SECRETS.length === 0) throw new Error('SETTLEPOINT_SECRET is not set');
server.listen(Number(process.argv[2]), '127.0.0.1');
