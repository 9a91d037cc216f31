import { createServer } from 'node:net';

/** A server beside the application that does the least for a request: it looks at nothing and refuses at once. */
const BODY = '{"statusCode":503}';
const ANSWER = `HTTP/1.1 503 Service Unavailable\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

const server = createServer((socket) => {
  socket.setNoDelay();
  // A flooder that resets its connection is no fault of this server.
  socket.on('error', () => undefined).on('data', () => socket.write(ANSWER));
}).listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
process.on('disconnect', () => process.exit(1));
