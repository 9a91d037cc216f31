import { RecipientUnreadableError } from '../alikassa.errors.js';
import type { CreatePayoutRequest } from '../provider/provider.types.js';
import { maskNumber } from './card.number.js';
import type { Payout } from './payout.entity.js';
import { contentsOfBody, twoDecimals } from './payout.request.js';
import type { RecipientCipher } from './recipient.cipher.js';

/**
 * Reads the request that a payout sends, and compares the row with it: what is paid is what was accepted, whoever has
 * written to the row since. The key of the ring authenticates the text, and the account by the content's fingerprint.
 * @param payout with its encrypted columns.
 * @returns the text to sign and send.
 * @throws RecipientUnreadableError if it was erased, cannot be opened, or does not fit; the message gives no value.
 */
export function bodyToSend(payout: Payout, cipher: RecipientCipher): string {
  const { id, keyId, recipientCiphertext: ciphertext } = payout;
  if (!ciphertext) throw new RecipientUnreadableError(`Payout ${id}: its recipient was erased.`);
  const body = cipher.open(id, { keyId, ciphertext });
  const request = JSON.parse(body) as CreatePayoutRequest;
  const contents = contentsOfBody(body, payout.account);
  const fits = {
    order_id: request.order_id === payout.orderId,
    amount: twoDecimals(request.amount) === payout.amount,
    service: request.service === payout.service,
    number_masked: maskNumber(request.number) === payout.numberMasked,
    number_fingerprint: cipher.fingerprint(request.number, keyId).equals(payout.numberFingerprint),
    'account or content_fingerprint': contents.some((one) =>
      cipher.fingerprint(one, keyId).equals(payout.contentFingerprint),
    ),
  };
  const changed = Object.entries(fits).flatMap(([name, isFitting]) => (isFitting ? [] : [name]));
  if (changed.length > 0) {
    throw new RecipientUnreadableError(
      `Payout ${id}: its ${changed.join(', ')} was changed and does not fit what was accepted; restore the row.`,
    );
  }
  return body;
}
