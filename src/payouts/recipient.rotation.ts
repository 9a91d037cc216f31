import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { RecipientUnreadableError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { CreatePayoutRequest } from '../provider/provider.types.js';
import { DURABLE, query, unhurried } from './database.statements.js';
import { tablePath } from './database.tables.js';
import { contentsOfBody } from './payout.request.js';
import type { PayoutStore } from './payout.store.js';
import type { RecipientCipher } from './recipient.cipher.js';

/** Rows of one statement: its locks hold up a payout for some milliseconds. */
const BATCH = 200;
/** A row that somebody holds is come back to so often. */
const PASSES = 10;
const PASS_PAUSE_MS = 500;

/** Rows under one key that is not the active one. */
export interface KeyUse {
  keyId: string;
  /** Rows that can be re-encrypted. */
  sealed: number;
  /** Rows without a ciphertext: their fingerprints cannot be made anew, so they need the key for good. */
  erased: number;
}

/** How far a rotation has come, in rows. */
export interface RotationProgress {
  rotated: number;
  unreadable: number;
  /** Rows that there were to re-encrypt at the start. */
  total: number;
}

/** What a rotation has done, and what it has left. */
export interface RotationReport extends RotationProgress {
  /** The signal came before the end. */
  isStopped: boolean;
  /** What is still under other keys. */
  left: KeyUse[];
  /** Keys of the ring that no row is under any more, the active one aside. */
  unused: string[];
}

/** How a rotation runs, and who hears of it. */
export interface RotationOptions {
  /** Ends the rotation after the batch that is under way. */
  signal?: AbortSignal;
  /** After every batch. */
  onProgress?: (progress: RotationProgress) => void;
  /** For every row that cannot be read back; the message names the payout. */
  onUnreadable?: (error: RecipientUnreadableError) => void;
}

interface SealedRow {
  id: string;
  seq: string;
  account: string;
  keyId: string;
  ciphertext: Buffer;
  content: Buffer;
}

/** A row under the active key, and the ciphertext that it replaces. */
interface Resealed {
  id: string;
  was: Buffer;
  ciphertext: Buffer;
  number: Buffer;
  content: Buffer;
}

/**
 * Brings all rows of an instance under the active key of the ring (docs/KEYS.md) while payouts flow. A row is rewritten
 * only if its ciphertext is still the one that was read, and a row that somebody holds is left for later: so nothing waits
 * for the rotation, and it may be ended at any time and run again, by several at once.
 */
@Injectable()
export class RecipientRotation {
  constructor(
    private readonly dataSource: DataSource,
    private readonly store: PayoutStore,
    private readonly cipher: RecipientCipher,
    private readonly options: Pick<ResolvedOptions, 'instance'>,
  ) {}

  /**
   * Re-encrypts every row that is not under the active key, and makes its fingerprints anew. A row that cannot be read
   * back is left as it is; if its payout is open, it gets the attention `recipient_unreadable`.
   * @throws DatabaseUnavailableError what was done until then stays done.
   */
  async run({ signal, onProgress, onUnreadable }: RotationOptions = {}): Promise<RotationReport> {
    const total = (await this.uses()).reduce((sum, { sealed }) => sum + sealed, 0);
    const unreadable = new Set<string>();
    let rotated = 0;
    let missed = 0;
    for (let pass = 0; pass < PASSES && !signal?.aborted && (pass === 0 || missed > 0); pass++) {
      if (pass > 0) await sleep(PASS_PAUSE_MS);
      missed = 0;
      for await (const rows of this.pages(signal)) {
        const resealed: Resealed[] = [];
        for (const row of rows.filter(({ id }) => !unreadable.has(id))) {
          const result = this.reseal(row);
          if (result instanceof RecipientUnreadableError) {
            unreadable.add(row.id);
            onUnreadable?.(result);
            await this.store.settle(row.id, { type: 'fault', attention: 'recipient_unreadable' });
          } else {
            resealed.push(result);
          }
        }
        const written = await this.write(resealed);
        rotated += written;
        missed += resealed.length - written;
        onProgress?.({ rotated, unreadable: unreadable.size, total });
      }
    }
    const left = await this.uses();
    const used = new Set([this.cipher.activeKeyId, ...left.map(({ keyId }) => keyId)]);
    return {
      rotated,
      unreadable: unreadable.size,
      total,
      isStopped: signal?.aborted ?? false,
      left,
      unused: this.cipher.keyIds.filter((id) => !used.has(id)),
    };
  }

  /** The rows that are not under the active key, in the order of their creation. */
  private async *pages(signal: AbortSignal | undefined): AsyncGenerator<SealedRow[]> {
    for (let after = '0'; !signal?.aborted;) {
      const rows = await unhurried<SealedRow>(
        this.dataSource,
        `SELECT id, seq, account, key_id AS "keyId", recipient_ciphertext AS ciphertext, content_fingerprint AS content
         FROM ${this.table} WHERE instance = $4 AND seq > $1 AND key_id <> $2 AND recipient_ciphertext IS NOT NULL
         ORDER BY seq LIMIT $3`,
        [after, this.cipher.activeKeyId, BATCH, this.options.instance],
      );
      const last = rows.at(-1);
      if (!last) return;
      yield rows;
      after = last.seq;
    }
  }

  private reseal({ id, account, keyId, ciphertext, content }: SealedRow): Resealed | RecipientUnreadableError {
    try {
      const body = this.cipher.open(id, { keyId, ciphertext });
      const fitting = contentsOfBody(body, account).find((one) => this.cipher.fingerprint(one, keyId).equals(content));
      if (fitting === undefined) {
        throw new RecipientUnreadableError(
          `Payout ${id}: its account or content fingerprint was changed; restore the row.`,
        );
      }
      return {
        id,
        was: ciphertext,
        ciphertext: this.cipher.seal(id, body).ciphertext,
        number: this.cipher.fingerprint((JSON.parse(body) as CreatePayoutRequest).number),
        content: this.cipher.fingerprint(fitting),
      };
    } catch (error) {
      if (error instanceof RecipientUnreadableError) return error;
      throw error;
    }
  }

  /**
   * The revision stays: what is decided on a payout meanwhile does not depend on the key. `updated_at` stays too.
   * @returns how many rows were written.
   */
  private async write(rows: Resealed[]): Promise<number> {
    if (rows.length === 0) return 0;
    const written = await this.query(
      // A key is removed on the word that no row is under it: that must be durable.
      `WITH given AS (
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
           AS given (id, was, ciphertext, number, content)
       ), held AS (
         SELECT id FROM ${this.table} WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED
       ), changed AS (
         UPDATE ${this.table} AS payout SET key_id = $6, recipient_ciphertext = given.ciphertext,
           number_fingerprint = given.number, content_fingerprint = given.content
         FROM given JOIN held USING (id)
         WHERE payout.id = given.id AND payout.recipient_ciphertext = given.was
         RETURNING payout.id
       ) SELECT id, ${DURABLE} FROM changed`,
      [
        rows.map(({ id }) => id),
        rows.map(({ was }) => was),
        rows.map(({ ciphertext }) => ciphertext),
        rows.map(({ number }) => number),
        rows.map(({ content }) => content),
        this.cipher.activeKeyId,
      ],
    );
    return written.length;
  }

  private async uses(): Promise<KeyUse[]> {
    return unhurried<KeyUse>(
      this.dataSource,
      `SELECT key_id AS "keyId", count(recipient_ciphertext)::int AS sealed,
         (count(*) - count(recipient_ciphertext))::int AS erased
       FROM ${this.table} WHERE instance = $2 AND key_id <> $1 GROUP BY key_id ORDER BY key_id`,
      [this.cipher.activeKeyId, this.options.instance],
    );
  }

  private async query(sql: string, params: unknown[]): Promise<unknown[]> {
    return query(this.dataSource, sql, params);
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_payouts');
  }
}
