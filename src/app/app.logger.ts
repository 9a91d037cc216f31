import { ConsoleLogger } from '@nestjs/common';
import { trace } from '@opentelemetry/api';

/** Nest's logger; as JSON, each line names the span that is active, if an SDK is loaded. */
export class AppLogger extends ConsoleLogger {
  protected override getJsonLogObject(
    ...parts: Parameters<ConsoleLogger['getJsonLogObject']>
  ): ReturnType<ConsoleLogger['getJsonLogObject']> {
    const span = trace.getActiveSpan()?.spanContext();
    return { ...super.getJsonLogObject(...parts), ...(span && { trace_id: span.traceId, span_id: span.spanId }) };
  }
}
