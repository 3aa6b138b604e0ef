// SPDX-License-Identifier: GPL-2.0-only
// npm's ws as a client of an echo server: node npm_ws_client.js URL. Prints KTAP.
'use strict';
const { WebSocket } = require('ws');
const url = process.argv[2];
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 200000, 1 << 20];
const offers = [
  ['no compression', false, false],
  ['compression', { threshold: 0 }, true],
  ['compression that forgets', { threshold: 0, serverNoContextTakeover: true,
                                 clientNoContextTakeover: true }, true],
  ['small windows', { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 }, true],
];
let n = 0;
let bad = 0;

function point(ok, name, seen) {
  n++;
  if (!ok) {
    bad++;
    console.log('# seen: ' + seen);
  }
  console.log(`${ok ? '' : 'not '}ok ${n} - ${name}`);
}

function messages() {
  const all = [];
  for (const size of sizes) {
    const b = Buffer.alloc(size);
    for (let i = 0; i < size; i++)
      b[i] = (i * 7 + (i >> 8)) & 255;
    all.push(b);
    all.push('aé€😀'.repeat(size / 10 + 1).slice(0, size));
  }
  return all;
}

function talk([name, perMessageDeflate, wants]) {
  return new Promise((done) => {
    const ws = new WebSocket(url, { perMessageDeflate, maxPayload: 0 });
    const sent = messages();
    let at = 0, wrong = 0, pongs = 0;
    ws.on('open', () => {
      ws.ping('here?');
      for (const m of sent)
        ws.send(m);
      // The same in fragments of it.
      for (const m of sent) {
        const half = m.length >> 1;
        ws.send(m.slice(0, half), { fin: false });
        ws.send(m.slice(half), { fin: true });
      }
    });
    ws.on('pong', (data) => { pongs += data.toString() === 'here?'; });
    ws.on('message', (data, binary) => {
      const want = sent[at++ % sent.length];
      const got = binary ? data : data.toString();
      if (binary !== (typeof want !== 'string') || (binary ? !got.equals(want) : got !== want))
        wrong++;
      if (at === 2 * sent.length)
        ws.close(4321, 'enough');
    });
    ws.on('error', (e) => point(false, `${name}: no error`, e));
    ws.on('close', (code) => {
      point(at === 2 * sent.length && !wrong, `npm ws, ${name}: each echo is equal`,
            `${at} messages, ${wrong} wrong`);
      point(!!ws.extensions === wants, `npm ws, ${name}: what was agreed on`, ws.extensions);
      point(pongs === 1 && code === 4321, `npm ws, ${name}: pong and close code`,
            `${pongs} ${code}`);
      done();
    });
  });
}

async function main() {
  for (const offer of offers)
    await talk(offer);
  console.log(`1..${n}`);
  process.exit(bad ? 1 : 0);
}

main();
