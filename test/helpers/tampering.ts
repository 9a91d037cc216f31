/** Ways to change a row's encrypted recipient behind the module's back, as SQL for `UPDATE alikassa_payouts SET`. */
const CIPHERTEXT = 'recipient_ciphertext';
const flip = (at: string): string =>
  `${CIPHERTEXT} = set_byte(${CIPHERTEXT}, ${at}, get_byte(${CIPHERTEXT}, ${at}) # 1)`;
const cut = (bytes: string): string => `${CIPHERTEXT} = substring(${CIPHERTEXT} from 1 for ${bytes})`;

/** IV 12 bytes, tag 16 bytes, body. */
export const TAMPERINGS: readonly (readonly [what: string, set: string])[] = [
  ['a flipped bit of the IV', flip('0')],
  ['a flipped bit of the tag', flip('12')],
  ['a flipped bit of the body', flip(`length(${CIPHERTEXT}) - 1`)],
  ['a tag cut to 8 bytes, the body moved up', `${CIPHERTEXT} = overlay(${CIPHERTEXT} placing '' from 21 for 8)`],
  ['a ciphertext cut within the tag', cut('20')],
  ['a ciphertext without its last byte', cut(`length(${CIPHERTEXT}) - 1`)],
  ['an empty ciphertext', cut('0')],
  ['an unknown key id', `key_id = 'nobody-has-it'`],
  ['the id of another key of the ring', `key_id = 'new'`],
];

/** Ways to change what was accepted, past the ciphertext; each is what the log names. */
export const FORGERIES: readonly (readonly [what: string, set: string])[] = [
  ['account', 'account = $2'],
  ['amount', 'amount = 5000'],
  ['amount', 'amount = amount + 0.01'],
  ['order_id', "order_id = order_id || '-2'"],
  ['order_id', 'order_id = upper(order_id)'],
  ['service', "service = 'payment_card_rub'"],
  ['number_masked', "number_masked = '*******0000'"],
  ['number_fingerprint', 'number_fingerprint = sha256(number_fingerprint)'],
  ['content_fingerprint', 'content_fingerprint = number_fingerprint'],
  ['content_fingerprint', "content_fingerprint = ''"],
];

/** Exchanges one column of two rows: parameters $1 and $2. */
export const swapOf = (column: string): string => `UPDATE alikassa_payouts AS one SET ${column} = other.${column}
  FROM alikassa_payouts AS other
  WHERE (one.id = $1 AND other.id = $2) OR (one.id = $2 AND other.id = $1)`;

/** Exchanges the recipients of two rows, key ids and fingerprints included: parameters $1 and $2. */
export const SWAP = `UPDATE alikassa_payouts AS one SET key_id = other.key_id, recipient_ciphertext = other.recipient_ciphertext,
    number_fingerprint = other.number_fingerprint, content_fingerprint = other.content_fingerprint
  FROM alikassa_payouts AS other
  WHERE (one.id = $1 AND other.id = $2) OR (one.id = $2 AND other.id = $1)`;
