import { ClientRequest, type ClientRequestArgs, type IncomingMessage } from 'node:http';
import { HttpService } from '@nestjs/axios';
import axios, { type AxiosInstance, type AxiosRequestConfig, type AxiosResponse } from 'axios';
import { firstValueFrom } from 'rxjs';

const MAX_ANSWER_BYTES = 256 * 1024;
/** Node's own classes as they are when this file is loaded: `http.request` may be patched, and is not used. */
const NodeRequest = ClientRequest;

/** Gives an instance its class' methods as they are now: a prototype that is patched later does not reach it. */
function pinned<T extends object>(instance: T): T {
  return Object.defineProperties(instance, Object.getOwnPropertyDescriptors(Object.getPrototypeOf(instance) as object));
}

/**
 * An axios that inherits nothing of axios' default instance, and that no other code can get hold of: retries,
 * interceptors, logs and defaults of the host act on the host's own requests only.
 */
function ownAxios(): AxiosInstance {
  const instance = pinned(
    new axios.Axios({
      adapter: axios.getAdapter('http'),
      // A redirect would carry the card number to another address, a proxy of the environment would read it.
      maxRedirects: 0,
      proxy: false,
      validateStatus: () => true,
      responseType: 'arraybuffer',
      decompress: false,
      maxContentLength: MAX_ANSWER_BYTES,
      maxBodyLength: Infinity,
      // The signed bytes are the sent bytes, the read bytes are the received bytes.
      transformRequest: [],
      transformResponse: [],
    }),
  );
  // HttpService calls it without its instance.
  instance.request = instance.request.bind(instance);
  return instance as AxiosInstance;
}

const http = pinned(new HttpService(ownAxios()));

/** Sends one POST. Each call sends once, over the agents that the config names. */
export async function post(config: AxiosRequestConfig<Buffer>): Promise<AxiosResponse<Buffer>> {
  // Subscribed once: every subscription of the observable would send again.
  return firstValueFrom(http.request<Buffer>({ ...config, method: 'POST', transport: { request } }));
}

/** Makes a request of Node's as `http.request` and `https.request` do, whatever those have been replaced by. */
export function request(options: ClientRequestArgs, answered?: (answer: IncomingMessage) => void): ClientRequest {
  return new NodeRequest(options as unknown as string, answered);
}
