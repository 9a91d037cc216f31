/** What is known under the key; made once where nothing is. What `make` throws is not remembered. */
export function remembered<K, V>(
  known: { get: (key: K) => V | undefined; set: (key: K, value: V) => unknown },
  key: K,
  make: () => V,
): V {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
  }
  return value;
}
