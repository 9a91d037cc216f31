import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Logger,
  Module,
  NotFoundException,
  Req,
  Res,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

/** Collects this process's metrics, unless an SDK that the operator has loaded (`node --import`) does that already. */
@Injectable()
class MetricsCollector implements OnApplicationShutdown {
  readonly exporter = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    withoutTargetInfo: true,
  });
  private readonly provider = new MeterProvider({ readers: [this.exporter] });
  readonly isUsed = metrics.setGlobalMeterProvider(this.provider);

  constructor() {
    if (!this.isUsed) new Logger('AliKassaMetrics').log('Another OpenTelemetry SDK exports the metrics.');
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.isUsed) metrics.disable();
    await this.provider.shutdown();
  }
}

/** Without a token, as Prometheus asks: not for the public (docs/OBSERVABILITY.md). */
@Controller('metrics')
class MetricsController {
  constructor(@Inject(MetricsCollector) private readonly collector: MetricsCollector) {}

  @Get()
  get(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    if (!this.collector.isUsed) throw new NotFoundException('Another OpenTelemetry SDK exports the metrics.');
    this.collector.exporter.getMetricsRequestHandler(request, response);
  }
}

/** `GET /metrics` for Prometheus. Needs @opentelemetry/sdk-metrics and @opentelemetry/exporter-prometheus. */
@Module({ controllers: [MetricsController], providers: [MetricsCollector] })
export class MetricsModule {}
