import { Injectable } from '@nestjs/common';
import { resolveOptions } from '../../src/alikassa.options.js';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import { RUB } from '../helpers/application.js';
import { generateTestKeys } from '../../src/testing/index.js';
import { SECOND_ACCOUNT, startInstances, type InstancesSetup } from '../helpers/instances.js';

@Injectable()
class Misled {
  @OnPayoutStatus({ instance: 'secnod' }, 'paid')
  onPaid(): void {}
}

const named = (name: string): InstancesSetup => ({ second: { name } });

it.each<[fault: string, sentence: string, setup: InstancesSetup]>([
  ['two instances without a name', 'name: two instances of AliKassaModule are named "default"', named('default')],
  [
    'two instances of one name',
    'name: two instances of AliKassaModule are named "second"',
    { first: { name: 'second', prefix: 'first' } },
  ],
  [
    'two instances at one prefix',
    'prefix: the instances "default" and "second" both have "/Alikassa/"; give one of them another',
    { first: { prefix: '/Alikassa/' }, second: { prefix: 'alikassa' } },
  ],
  [
    'an account of two instances',
    `accounts: the instances "default" and "second" both have ${RUB}; an account belongs to one of them`,
    {
      second: {
        accounts: [
          { uuid: SECOND_ACCOUNT, currency: 'RUB' },
          { uuid: RUB.toUpperCase(), currency: 'RUB' },
        ],
      },
    },
  ],
  [
    'a handler of an instance that is not there',
    '@OnPayoutStatus: "secnod" is no instance; there is default, second',
    { providers: [Misled] },
  ],
])('%s: the application does not start, and says so in a sentence', async (_, sentence, setup) => {
  await expect(startInstances(setup)).rejects.toThrow(sentence);
});

it('one payout key of two instances: the application does not start, since they would share the order_ids', async () => {
  const { privateKey, passphrase } = (await generateTestKeys()).payout;
  await expect(startInstances({ options: { privateKey, passphrase } })).rejects.toThrow(
    'privateKey: the instances "default" and "second" both have the same payout key',
  );
});

it.each(['Second', "'", '', 'a b', 'a'.repeat(33)])('the name %p is refused', (name) => {
  const options = { accounts: [], privateKey: '', notificationPublicKey: '', encryptionKeys: [] };
  expect(() => resolveOptions(options, name)).toThrow('name: an instance is named by 1 to 32 of a-z, 0-9, "_" and "-"');
});
