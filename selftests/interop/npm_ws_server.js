// SPDX-License-Identifier: GPL-2.0-only
// npm's ws as an echo server on any port, which it prints. Ends with its stdin.
'use strict';
const { WebSocketServer } = require('ws');
const wss = new WebSocketServer({
  host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 },
  handleProtocols: (all) => (all.has('v2') ? 'v2' : false),
}, () => {
  console.log(`listening on 127.0.0.1:${wss.address().port}`);
});
wss.on('connection', (ws) => {
  ws.on('error', () => {});
  ws.on('message', (data, binary) => {
    if (data.toString('latin1', 0, 5) === 'close')
      ws.close(4001, 'as you wish');
    else
      ws.send(data, { binary });
  });
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
