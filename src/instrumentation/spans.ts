import {
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type SpanOptions,
} from '@opentelemetry/api';
import { AliKassaError } from '../alikassa.errors.js';

/** Name of the instrumentation scope, of spans and metrics alike. */
export const SCOPE = 'nestjs-alikassa';

/** W3C Trace Context, version 00. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export interface TracedOptions extends SpanOptions {
  /** The span that asked for this one, in another process or at another time; default: the active one. */
  traceparent?: string;
}

/**
 * Runs `work` within a span; without an SDK that is a plain call. What `work` throws passes through: the span keeps its
 * code or class, never its message, which may be a host's and hold anything.
 */
export async function traced<T>(
  name: string,
  { traceparent, ...options }: TracedOptions,
  work: () => Promise<T>,
): Promise<T> {
  return trace.getTracer(SCOPE).startActiveSpan(name, options, parentOf(traceparent), async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setAttribute('error.type', errorType(error)).setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Adds to the span that is active, if one is. */
export function annotate(attributes: Attributes): void {
  trace.getActiveSpan()?.setAttributes(attributes);
}

/** The active span for what is done later, elsewhere; undefined where nothing is traced. */
export function activeTraceparent(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  if (!span || !isSpanContextValid(span)) return undefined;
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

function parentOf(traceparent: string | undefined): Context {
  // From a job's payload, which an older version may have written.
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (!traceId || !spanId || !flags) return context.active();
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: parseInt(flags, 16), isRemote: true });
}

function errorType(error: unknown): string {
  if (error instanceof AliKassaError) return error.code;
  return error instanceof Error ? error.name : '_OTHER';
}
