// SPDX-License-Identifier: GPL-2.0-only
// A WebSocket echo by the npm package "ws".
// usage: NODE_PATH=.../node_modules node peer_ws_node.js [--deflate]; prints the port
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({
	host: '127.0.0.1', port: 0, maxPayload: 64 << 20,
	perMessageDeflate: process.argv.includes('--deflate') && { threshold: 64 },
});
server.on('connection', (peer) => {
	peer.on('message', (data, binary) => peer.send(data, { binary }));
	peer.on('error', () => {});
});
server.on('listening', () => console.log(server.address().port));
