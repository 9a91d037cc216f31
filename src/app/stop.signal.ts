const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** npm passes Ctrl-C on to a program that the terminal has told already; a second wish comes later than that. */
const ECHO_MS = 1_000;

/** SIGINT and SIGTERM as one abort signal, so that a command can end what it has started, in the right order. */
export interface StopSignal {
  signal: AbortSignal;
  /** Gives the signals back to the process. */
  release(): void;
}

/** From now on the first signal only aborts; a second one, a second or more later, ends the process at once. */
export function onStopSignal(): StopSignal {
  const controller = new AbortController();
  let firstAt = 0;
  const listener = (): void => {
    if (!controller.signal.aborted) {
      firstAt = Date.now();
      controller.abort();
    } else if (Date.now() - firstAt >= ECHO_MS) {
      process.exit(1);
    }
  };
  for (const name of SIGNALS) process.on(name, listener);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of SIGNALS) process.removeListener(name, listener);
    },
  };
}

/** Resolves when the signal comes. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
