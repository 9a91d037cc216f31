import http from 'node:http';
import net from 'node:net';

/**
 * Loaded before everything else: stops the process (SIGSTOP), once, on the way of its first request to `port`, inside of what
 * Node does with it. Its clocks may be those of a machine that was suspended meanwhile.
 */
const { at, port, clock } = JSON.parse(process.env.ALIKASSA_TEST_STOP ?? '{}');

if (clock === 'monotonic stands still') {
  const stands = performance.now();
  performance.now = () => stands;
}
const RealDate = Date;
let isStopped = false;
function stop() {
  if (isStopped) return;
  isStopped = true;
  process.kill(process.pid, 'SIGSTOP');
  if (clock === 'wall is set back') {
    globalThis.Date = class extends RealDate {
      static now() {
        return RealDate.now() - 3_600_000;
      }
    };
  }
}

const [prototype, name] = {
  'the request gets its socket': [http.ClientRequest.prototype, 'onSocket'],
  'the request ends': [http.ClientRequest.prototype, 'end'],
  'the socket is written to': [net.Socket.prototype, 'write'],
  'the socket is uncorked': [net.Socket.prototype, 'uncork'],
}[at];
const before = prototype[name];
prototype[name] = function (...args) {
  const isOurs = name === 'onSocket' ? args[0]?.remotePort === port : this.remotePort === port || isTo(this, port);
  if (isOurs) stop();
  return before.apply(this, args);
};

/** Its socket comes later. */
function isTo(request, to) {
  return request instanceof http.ClientRequest && request.getHeader('host')?.endsWith(`:${to}`);
}
