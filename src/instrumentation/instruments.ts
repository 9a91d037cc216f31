import {
  metrics,
  type Attributes,
  type Counter,
  type Histogram,
  type Meter,
  type MeterProvider,
} from '@opentelemetry/api';
import { SCOPE } from './spans.js';

/** What is recorded where it happens. Attributes have few values each: never an order, a payout or a recipient. */
export interface Instruments {
  /** One submission, from its first byte to what became of it: account, service, outcome. */
  submission: Histogram;
  /** One status call that a job asked for: account, service, outcome. */
  check: Histogram;
  /** One call of a host's handler: handler, outcome. */
  handler: Histogram;
  /** One RSA operation, with its wait for the thread pool: operation. */
  signature: Histogram;
  /** Notifications by what became of them: instance, result. */
  notifications: Counter;
  /** Payouts that have ended: account, service, status. */
  settled: Counter;
  /** What the database or the way to it said against a statement of the module: state. */
  databaseFaults: Counter;
}

/** Seconds. */
const CALL_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const SIGNATURE_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1];

let made: { provider: MeterProvider; instruments: Instruments } | undefined;

/** The instruments of the registered SDK; without one they record nothing. An SDK may be registered at any time. */
export function instruments(): Instruments {
  const provider = metrics.getMeterProvider();
  if (made?.provider !== provider) made = { provider, instruments: create(provider.getMeter(SCOPE)) };
  return made.instruments;
}

/** Of one call to the provider about a payout. */
export function callAttributes(
  { account, service }: { account: string; service: string },
  { kind }: { kind: string },
): Attributes {
  return { 'alikassa.account': account, 'alikassa.service': service, 'alikassa.outcome': kind };
}

/** Seconds since then. @param startedAt of `performance.now()`. */
export function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1000;
}

function create(meter: Meter): Instruments {
  const duration = (name: string, description: string, explicitBucketBoundaries: number[]): Histogram =>
    meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries } });
  return {
    submission: duration('alikassa.payout.submission.duration', 'Attempts to submit a payout.', CALL_BUCKETS),
    check: duration('alikassa.payout.check.duration', 'Status calls for open payouts.', CALL_BUCKETS),
    handler: duration('alikassa.handler.duration', "Calls of the host's handlers.", CALL_BUCKETS),
    signature: duration('alikassa.signature.duration', 'RSA operations.', SIGNATURE_BUCKETS),
    notifications: meter.createCounter('alikassa.notifications', {
      description: 'Notifications by what became of them.',
      unit: '{notification}',
    }),
    settled: meter.createCounter('alikassa.payout.settled', {
      description: 'Payouts that this process saw reach a final status.',
      unit: '{payout}',
    }),
    databaseFaults: meter.createCounter('alikassa.database.faults', {
      description: 'Statements that the database or the network did not complete.',
      unit: '{statement}',
    }),
  };
}
