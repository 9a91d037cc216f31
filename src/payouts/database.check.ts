import type { OnModuleInit } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { ConfigurationError, DatabaseRefusedError, RecipientUnreadableError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { mappedDatabaseError } from './database.errors.js';
import { query, unhurried } from './database.statements.js';
import { tablePath } from './database.tables.js';
import type { RecipientCipher, Sealed } from './recipient.cipher.js';

/** One of the newest that opens proves a key; a single one may have been changed. */
const SAMPLES = 5;
/** SQLSTATE of a table that is not there, and of a right that is not. */
const [NO_TABLE, NO_RIGHT] = ['42P01', '42501'];
const LOOPBACK = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::|\/|$)/;

/** Refuses to start on a database that would not keep the payouts, or whose rows this process could not read. */
export class DatabaseCheck implements OnModuleInit {
  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    private readonly cipher: RecipientCipher,
  ) {}

  /** @throws ConfigurationError, DatabaseUnavailableError, DatabaseRefusedError */
  async onModuleInit(): Promise<void> {
    const { dropSchema } = this.dataSource.options;
    // A simulator's payouts may go.
    if (dropSchema && !LOOPBACK.test(this.options.baseUrl)) {
      throw new ConfigurationError(
        'dataSource',
        'has dropSchema: true, so every start would delete all payouts; leave it out',
      );
    }
    try {
      for (const keyId of this.cipher.keyIds) await this.checkKey(keyId);
    } catch (error) {
      const state = error instanceof DatabaseRefusedError ? error.state : undefined;
      if (state === NO_RIGHT) {
        throw new ConfigurationError(
          'dataSource',
          'its role lacks a right on alikassa_keys or alikassa_payouts; run the grants of docs/DATABASE.md as the owner',
        );
      }
      if (state === NO_TABLE && this.dataSource.options.synchronize) {
        throw new ConfigurationError(
          'dataSource',
          'lacks tables of the module, and synchronize leaves those alone; add alikassaMigrations and migrationsRun to it',
        );
      }
      // The host may migrate after this.
      if (state !== NO_TABLE) throw mappedDatabaseError(error);
    }
  }

  /** The value is written once for each key, and compared at every start from then on. */
  private async checkKey(keyId: string): Promise<void> {
    const own = this.cipher.checkValue(keyId);
    const known = await this.known(keyId);
    if (!known && (await this.opensNone(keyId))) throw this.otherBytes(keyId);
    const kept = known ?? (await this.keep(keyId, own));
    if (!kept.equals(own)) throw this.otherBytes(keyId);
  }

  private async known(keyId: string): Promise<Buffer | undefined> {
    const sql = `SELECT check_value FROM ${this.table} WHERE instance = $1 AND key_id = $2`;
    const [row] = await query<{ check_value: Buffer }>(this.dataSource, sql, [this.options.instance, keyId]);
    return row?.check_value;
  }

  /** @returns what stands there now: another process may have been first. */
  private async keep(keyId: string, own: Buffer): Promise<Buffer> {
    await query(
      this.dataSource,
      `INSERT INTO ${this.table} (instance, key_id, check_value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
      [this.options.instance, keyId, own],
    );
    return (await this.known(keyId)) ?? own;
  }

  /** Whether there are rows under the key from before its value was kept, and it opens none of them. */
  private async opensNone(keyId: string): Promise<boolean> {
    const sql = `SELECT id, recipient_ciphertext AS ciphertext FROM ${tablePath(this.dataSource, 'alikassa_payouts')}
      WHERE instance = $1 AND key_id = $2 AND recipient_ciphertext IS NOT NULL ORDER BY seq DESC LIMIT ${SAMPLES}`;
    // Past the whole history where no row is under the key, once.
    const rows = await unhurried<SealedRow>(this.dataSource, sql, [this.options.instance, keyId]);
    return rows.length > 0 && !rows.some((row) => this.opens({ keyId, ...row }));
  }

  private opens({ id, keyId, ciphertext }: SealedRow & Sealed): boolean {
    try {
      this.cipher.open(id, { keyId, ciphertext });
      return true;
    } catch (error) {
      if (error instanceof RecipientUnreadableError) return false;
      throw error;
    }
  }

  private otherBytes(keyId: string): ConfigurationError {
    return new ConfigurationError(
      'encryptionKeys',
      `the key "${keyId}" has other bytes than payouts of the instance "${this.options.instance}" were accepted with; give it back its own, and a new key an id of its own (docs/KEYS.md)`,
    );
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_keys');
  }
}

interface SealedRow {
  id: string;
  ciphertext: Buffer;
}
