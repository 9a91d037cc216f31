import { resolveOptions, type AliKassaOptions } from '../../src/alikassa.options.js';

const options: AliKassaOptions = {
  accounts: [{ uuid: '93d5df06-996c-48c3-9847-348d6b580b80', currency: 'RUB' }],
  privateKey: 'a key',
  notificationPublicKey: 'a key',
  encryptionKeys: [{ id: 'k', key: Buffer.alloc(32) }],
};
const resolved = (proxy: unknown) => () => resolveOptions({ ...options, proxy: proxy as string });

it.each([
  'http://proxy.example',
  'http://proxy.example:3128/',
  'https://user:secret@proxy.example:3128',
  'http://us%40er:p%3A%25ss@[::1]:8080',
  undefined,
])('%p is a proxy, or none', (proxy) => {
  expect(resolved(proxy)().proxy).toBe(proxy);
});

it.each<[unknown, RegExp]>([
  ['', /is not a URL/],
  ['proxy.example:3128', /must be http or https/],
  ['//user:secret@proxy.example', /is not a URL/],
  ['http://', /is not a URL/],
  ['http://user:secret@proxy.example:99999', /is not a URL/],
  [{}, /is not a URL/],
  [true, /is not a URL/],
  ['socks5://user:secret@proxy.example:1080', /must be http or https/],
  ['http://user:secret@proxy.example/path', /without path, query or fragment/],
  ['http://user:secret@proxy.example?x=1', /without path, query or fragment/],
  ['http://user:secret@proxy.example#x', /without path, query or fragment/],
  ['http://user:100%secret@proxy.example', /write it as %25/],
  ['http://us%3Aer:secret@proxy.example', /a colon in its user/],
])('%p is refused at the start, and its password is in no message', (proxy, message) => {
  expect(resolved(proxy)).toThrow(expect.objectContaining({ setting: 'proxy' }) as Error);
  expect(resolved(proxy)).toThrow(message);
  expect(resolved(proxy)).not.toThrow(/secret/);
});
