/** The specs of `decide()` as one test file: Stryker loads each file anew for every mutant, which takes most of the time. */
import '../payouts/payout.decision.spec.js';
import '../payouts/payout.decision.attempts.spec.js';
import '../payouts/payout.decision.heard.spec.js';
import '../payouts/payout.decision.hints.spec.js';
import '../payouts/payout.decision.history.spec.js';
import '../payouts/payout.decision.pauses.spec.js';
import '../payouts/payout.decision.people.spec.js';
import '../payouts/payout.decision.provider.spec.js';
import '../payouts/payout.decision.unopened.spec.js';
import '../payouts/payout.decision.restored.spec.js';
