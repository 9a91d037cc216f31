import type { ResolvedOptions } from '../../alikassa.options.js';
import type { StepReport } from '../step.report.js';

const SETTING = 'ALIKASSA_NOTIFICATION_URL';
const NAME = 'notifications';
const PATH = '/alikassa/notifications';
const TIMEOUT_MS = 5_000;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Whether the provider's notifications would arrive: the address is asked as a stranger would, with nothing to settle. */
export async function examineNotifications(
  report: StepReport,
  { notificationUrl, baseUrl }: ResolvedOptions,
): Promise<void> {
  if (notificationUrl === undefined) {
    report.warn(NAME, `${SETTING} is not set: payouts end when polling says so, which is later; set it to be told`);
    return;
  }
  const url = new URL(notificationUrl);
  const isLoopback = LOOPBACK.has(url.hostname);
  if (isLoopback && !LOOPBACK.has(new URL(baseUrl).hostname)) {
    report.fail(NAME, `${SETTING} is an address of this machine alone; give one that the provider can reach`);
    return;
  }
  if (url.protocol !== 'https:' && !isLoopback) {
    report.warn(NAME, `${SETTING} is not https: who is on the way reads amounts and order ids; give an https address`);
  }
  await probe(report, url);
}

async function probe(report: StepReport, url: URL): Promise<void> {
  const empty = await asked(url);
  if ('fault' in empty) {
    if (/CERT|SELF_SIGNED|TLS|SSL|ALTNAME/.test(empty.fault)) {
      report.fail(NAME, `${SETTING} shows a certificate that is not accepted (${empty.fault}); mend it or its chain`);
    } else if (!url.pathname.endsWith(PATH)) {
      report.fail(NAME, `${SETTING} ends in another path than ${PATH}, and nobody answers there (${empty.fault})`);
    } else {
      const mend = 'right while the service is not running; else check DNS, firewall and proxy';
      report.warn(NAME, `nobody answers at ${SETTING} (${empty.fault}): ${mend}`);
    }
    return;
  }
  if (!isOurs(empty)) {
    report.fail(NAME, `${SETTING} ${mendOf(empty.status)}`);
    return;
  }
  // Where the form is read, its one parameter is there and the next one is missed.
  const form = await asked(url, 'type=payout');
  if ('fault' in form || !isOurs(form) || !/\bid is missing/.test(form.message)) {
    report.fail(
      NAME,
      'a POST form does not arrive whole; keep urlencoded body parsing on in the service (rawBody is better), and the body and its type in the proxy',
    );
    return;
  }
  report.ok(NAME, 'the service answers at its public address, by GET and to a form');
}

type Answer = { fault: string } | { status: number; code: string; message: string };

async function asked(url: URL, form?: string): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: form === undefined ? 'GET' : 'POST',
      body: form,
      headers: form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body = (await response.json().catch(() => ({}))) as { code?: unknown; message?: unknown };
    return { status: response.status, code: String(body?.code), message: String(body?.message) };
  } catch (error) {
    const { name, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    return { fault: cause?.code ?? cause?.message ?? name };
  }
}

function isOurs(answer: { status: number; code: string }): boolean {
  return answer.status === 400 && answer.code === 'notification_malformed';
}

function mendOf(status: number): string {
  if (status >= 300 && status < 400)
    return `redirects (${status}), which the provider may not follow; give the last address`;
  if (status === 401 || status === 403)
    return `is let through to nobody (${status}); exempt ${PATH} from authentication`;
  if (status === 404) return `is answered with 404; mend its path: the service takes notifications at ${PATH}`;
  if (status >= 500) return `is answered with ${status}; look at the service and its proxy`;
  return `is answered with ${status}, and not by this service; mend its host and path (${PATH})`;
}
