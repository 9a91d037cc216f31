import type { CreatePayoutDto, PayoutDto, PayoutEventDto } from '../../payouts/payout.dto.js';

/** The few REST calls of the demo: it uses the application as any client would. */
export class DemoClient {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  create(body: CreatePayoutDto): Promise<PayoutDto> {
    return this.call<PayoutDto>('/payouts', body);
  }

  find(id: string): Promise<PayoutDto> {
    return this.call<PayoutDto>(`/payouts/${id}`);
  }

  async events(id: string): Promise<PayoutEventDto[]> {
    return (await this.call<{ data: PayoutEventDto[] }>(`/payouts/${id}/events`)).data;
  }

  private async call<T>(path: string, body?: object): Promise<T> {
    const response = await fetch(this.url + path, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${this.token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${body ? 'POST' : 'GET'} ${path} was answered with ${response.status}: ${text}`);
    return JSON.parse(text) as T;
  }
}
