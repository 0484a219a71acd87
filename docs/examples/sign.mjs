// Sign and send a call to the game API, and verify a received notification. Node 18 or newer, no packages.
//
//   node sign.mjs vector
//   node sign.mjs query OUT_ORDER_ID
//   node sign.mjs verify TIMESTAMP NONCE SIGNATURE < body
//
// `query` and `verify` read SETTLEPOINT_APP_ID and SETTLEPOINT_SECRET, `query` also SETTLEPOINT_BASE_URL.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

function sign(secret, appId, timestamp, nonce, body) {
  const hmac = createHmac('sha1', secret).update(`${appId}\n${timestamp}\n${nonce}\n`);
  return hmac.update(body).update('\n').digest('hex');
}

function authorization(secret, appId, body) {
  const timestamp = Date.now().toString();
  const nonce = randomBytes(16).toString('hex');
  const signature = sign(secret, appId, timestamp, nonce, body);
  return `Sud-Auth app_id="${appId}",timestamp="${timestamp}",nonce="${nonce}",signature="${signature}"`;
}

function isGenuine(secret, appId, timestamp, nonce, signature, body) {
  const expected = Buffer.from(sign(secret, appId, timestamp, nonce, body));
  const received = Buffer.from(signature);
  if (received.length !== expected.length || !timingSafeEqual(received, expected)) return false;
  return Math.abs(Date.now() - Number(timestamp)) <= 300_000;
}

async function call(baseUrl, secret, appId, path, fields) {
  const body = Buffer.from(JSON.stringify(fields)); // serialised once: these bytes are signed, and these are sent
  const response = await fetch(baseUrl + path, {
    method: 'POST',
    headers: { Authorization: authorization(secret, appId, body), 'Content-Type': 'application/json' },
    body,
    signal: AbortSignal.timeout(30_000),
  });
  return { status: response.status, answer: await response.text() };
}

function vector() {
  const body = '{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}';
  return sign('test-app-secret', '1461564080052506636', '1688464949817', 'keVJLJTItd1VBtGT', body);
}

function setting(name) {
  if (!process.env[name]) throw new Error(`${name} is not set`);
  return process.env[name];
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === 'vector' && rest.length === 0) {
  console.log(vector());
} else if (mode === 'query' && rest.length === 1) {
  const { status, answer } = await call(
    setting('SETTLEPOINT_BASE_URL'),
    setting('SETTLEPOINT_SECRET'),
    setting('SETTLEPOINT_APP_ID'),
    '/v1/app/server/query_user_settle',
    { out_order_id: rest[0] },
  );
  console.log(answer);
  process.exitCode = status === 200 ? 0 : 1;
} else if (mode === 'verify' && rest.length === 3) {
  const body = readFileSync(0); // a Buffer: the bytes as they came
  const genuine = isGenuine(setting('SETTLEPOINT_SECRET'), setting('SETTLEPOINT_APP_ID'), ...rest, body);
  console.log(genuine ? 'genuine' : 'not genuine');
  process.exitCode = genuine ? 0 : 1;
} else {
  console.error('usage: sign.mjs vector | query OUT_ORDER_ID | verify TIMESTAMP NONCE SIGNATURE < body');
  process.exitCode = 2;
}
