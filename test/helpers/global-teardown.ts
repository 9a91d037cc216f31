/** Stops the server that the setup has started, and removes its folder. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.alikassaTestPostgres?.stop();
}
