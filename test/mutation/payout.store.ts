/** The specs of `PayoutStore` as one test file: Stryker loads each file anew for every mutant. */
import '../payouts/payout.store.spec.js';
import '../payouts/payout.store.follow-up.spec.js';
import '../payouts/payout.store.queries.spec.js';
import '../payouts/payout.store.faults.spec.js';
