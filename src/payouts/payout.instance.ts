import type { DiscoveryService } from '@nestjs/core';

/** What one instance of the module lets the others in the application know of it. */
export class PayoutInstance {
  /**
   * @param prefix where its endpoints are mounted.
   * @param accounts uuids, in lower case.
   * @param keyFingerprint of the payout key, which is the merchant's.
   */
  constructor(
    readonly name: string,
    readonly prefix: string,
    readonly accounts: readonly string[],
    readonly keyFingerprint: string,
  ) {}
}

/** Every instance in the application, once its providers are made. */
export function instancesIn(discovery: DiscoveryService): PayoutInstance[] {
  return discovery
    .getProviders()
    .map(({ instance }) => instance as unknown)
    .filter((one): one is PayoutInstance => one instanceof PayoutInstance);
}
