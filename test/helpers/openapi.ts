import type { OpenAPIObject } from '@nestjs/swagger';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';

const DOCUMENT = 'document';
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Judges by an OpenAPI document, strictly: what it does not name is wrong. */
export class OpenApiChecker {
  private readonly ajv = new Ajv({ strict: true, allErrors: true });

  constructor(readonly document: OpenAPIObject) {
    addFormats.default(this.ajv);
    this.ajv.addVocabulary(['example', ...Object.keys(document)]);
    this.ajv.addSchema(document, DOCUMENT);
  }

  /**
   * What is wrong with an answer by the document; empty if nothing is. The code of an error must be one of the examples.
   * @param path with its ids.
   */
  faultsOf(method: string, path: string, status: number, body: unknown): string[] {
    const template = path.replace(/\?.*$/, '').replace(UUID, '{id}');
    const codes = this.codesOf(template, method, status);
    const { code } = body as { code?: unknown };
    if (status >= 400 && !codes.includes(String(code))) return [`code ${String(code)} is none of ${codes.join(', ')}`];
    return this.faultsBy(
      ['paths', template, method.toLowerCase(), 'responses', String(status), 'content', 'application/json', 'schema'],
      body,
    );
  }

  /** The same for one of the document's schemas. */
  faultsOfSchema(name: string, value: unknown): string[] {
    return this.faultsBy(['components', 'schemas', name], value);
  }

  private codesOf(template: string, method: string, status: number): string[] {
    const response = this.document.paths[template]?.[method.toLowerCase() as 'get']?.responses[status];
    const { content = {} } = (response ?? {}) as { content?: Record<string, { examples?: object }> };
    return Object.keys(content['application/json']?.examples ?? {});
  }

  private faultsBy(parts: string[], value: unknown): string[] {
    const pointer = parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = this.ajv.compile({ $ref: `${DOCUMENT}#/${pointer}` });
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message, params }) =>
      `${instancePath} ${message} ${JSON.stringify(params)}`.trim(),
    );
  }
}
