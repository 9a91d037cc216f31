import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { Tarpit } from '../../src/notifications/tarpit.js';

const MOST = 4_000;

describe('Tarpit', () => {
  it('gives the answers in turn, 250 a second, each once', async () => {
    const tarpit = new Tarpit();
    const given: number[] = [];
    for (let n = 0; n < 300; n += 1) tarpit.hold(() => given.push(n));
    await sleep(800);
    expect(given).toEqual([]);
    await sleep(700);
    expect(given).toEqual(Array.from({ length: 250 }, (_, n) => n));
    await sleep(1_000);
    expect(given).toEqual(Array.from({ length: 300 }, (_, n) => n));
    await sleep(1_000);
    expect(given).toHaveLength(300);
  });

  it('begins again after it was empty', async () => {
    const tarpit = new Tarpit();
    const answer = jest.fn();
    for (const round of [1, 2]) {
      tarpit.hold(() => answer());
      await sleep(1_500);
      expect(answer).toHaveBeenCalledTimes(round);
    }
  });

  it('gives all of them their answers at once when it is released, and no second ones', async () => {
    const tarpit = new Tarpit();
    const answers = Array.from({ length: 30 }, () => jest.fn());
    for (const answer of answers) tarpit.hold(answer);
    tarpit.release();
    for (const answer of answers) expect(answer).toHaveBeenCalledTimes(1);
    await sleep(1_200);
    for (const answer of answers) expect(answer).toHaveBeenCalledTimes(1);
  });

  it('keeps no more than 4,000 after a burst', async () => {
    const tarpit = new Tarpit();
    const answer = jest.fn();
    for (let n = 0; n < MOST + 300; n += 1) tarpit.hold(() => answer());
    await sleep(1_500);
    expect(answer).toHaveBeenCalledTimes(300);
    tarpit.release();
    expect(answer).toHaveBeenCalledTimes(MOST + 300);
  });
});
