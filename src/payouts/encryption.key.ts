import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** An id of an instance's ring, and what tells its bytes from others; nothing of the key can be learned from it. */
@Entity({ name: 'alikassa_keys', synchronize: false })
export class EncryptionKeyCheck {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  instance!: string;

  @PrimaryColumn({ name: 'key_id', type: 'varchar', length: 32 })
  keyId!: string;

  @Column({ name: 'check_value', type: 'bytea', update: false })
  checkValue!: Buffer;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz', update: false })
  createdAt!: Date;
}
