import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../../alikassa.errors.js';
import { phpJsonEncode } from '../../provider/php-json.js';
import { SignatureProvider } from '../../provider/signature.provider.js';
import { loadConfig, withSettingNames, type Environment } from '../app.config.js';
import type { CommandInput } from '../command.js';
import { readStandardInput } from '../standard.input.js';

/** Prints the `Sign` header of a body: its very bytes are signed. What may go wrong with them goes to standard error. */
export async function sign(env: Environment, { argument }: CommandInput): Promise<number> {
  const config = loadConfig(env);
  const signature = withSettingNames(config.settingNames, () => new SignatureProvider(config.alikassa));
  const body = argument === '-' ? await readStandardInput() : await bytesOf(argument);
  const doubt = doubtAbout(body.toString('utf8'));
  if (doubt) console.error(`note: ${doubt}`);
  console.log(await signature.sign(body));
  return 0;
}

async function bytesOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ConfigurationError(path, `cannot be read (${(error as NodeJS.ErrnoException).code}); give a file or -`);
  }
}

/** A provider that encodes the body anew before it verifies would refuse a signature over other bytes. */
function doubtAbout(text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'the body is not JSON; these bytes are signed all the same';
  }
  if (text === '[]' || phpJsonEncode(value) === text) return undefined;
  const end = /\s$/.test(text) ? ', and ends in a line break or space that is signed too' : '';
  return `the body is not as PHP's json_encode writes it (no spaces, "\\/", "\\u00e9")${end}`;
}
