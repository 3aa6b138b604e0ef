// SPDX-License-Identifier: GPL-2.0-only
// npm's ws as bench_wscast has it: sends each message to all connections
// ("cast"), or back with compression ("pack"). Ends with its stdin.
'use strict';
const { WebSocketServer } = require('ws');
const cast = process.argv[2] === 'cast';
const wss = new WebSocketServer({
  host: '127.0.0.1', port: 0, backlog: 4096,
  perMessageDeflate: cast ? false : { threshold: 64 },
}, () => {
  console.log(wss.address().port);
});
wss.on('connection', (ws) => {
  ws.on('error', () => {});
  ws.on('message', (data, binary) => {
    if (!cast)
      ws.send(data, { binary });
    else
      for (const to of wss.clients)
        to.send(data, { binary });
  });
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
