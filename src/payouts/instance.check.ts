import type { OnModuleInit } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import { ConfigurationError } from '../alikassa.errors.js';
import { instancesIn, type PayoutInstance } from './payout.instance.js';

/** Refuses to start an application whose instances would take each other's rows, requests or accounts. */
export class InstanceCheck implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly own: PayoutInstance,
  ) {}

  /** @throws ConfigurationError */
  onModuleInit(): void {
    const { own } = this;
    for (const other of instancesIn(this.discovery)) {
      if (other === own) continue;
      if (other.name === own.name) {
        throw new ConfigurationError(
          'name',
          `two instances of AliKassaModule are named "${own.name}"; name one of them otherwise, or import the module once and with isGlobal`,
        );
      }
      const both = `the instances "${own.name}" and "${other.name}" both`;
      if (pathOf(other.prefix) === pathOf(own.prefix)) {
        throw new ConfigurationError('prefix', `${both} have "${own.prefix}"; give one of them another`);
      }
      const shared = own.accounts.find((account) => other.accounts.includes(account));
      if (shared) {
        throw new ConfigurationError('accounts', `${both} have ${shared}; an account belongs to one of them`);
      }
      // An order_id is the merchant's at the provider, and unique within an instance here: one of two payouts would be
      // "taken", and told the other's fate.
      if (other.keyFingerprint === own.keyFingerprint) {
        throw new ConfigurationError(
          'privateKey',
          `${both} have the same payout key, so one merchant whose order_ids the provider cannot tell apart; give one instance all accounts`,
        );
      }
    }
  }
}

/** As routers compare it. */
function pathOf(prefix: string): string {
  return prefix.replace(/^\/+|\/+$/g, '').toLowerCase();
}
