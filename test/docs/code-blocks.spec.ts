import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { parse } from 'yaml';
import { ALARMS } from '../../src/payouts/attention.js';
import { TRANSITIONS } from '../../src/payouts/payout.status.js';
import { startApplication } from '../helpers/application.js';
import { codeBlocks, GUIDES, type CodeBlock } from '../helpers/code.blocks.js';
import { payload } from '../helpers/payload.js';

const blocks = GUIDES.flatMap(codeBlocks);
const of = (...languages: string[]): CodeBlock[] => blocks.filter(({ language }) => languages.includes(language));
const named = (some: CodeBlock[]): [string, CodeBlock][] => some.map((block) => [block.at, block]);

/** What a reader has at hand where a fragment begins. */
const SURROUNDINGS = `
import 'reflect-metadata';
import { readFileSync, writeFileSync } from 'node:fs';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Entity, PrimaryColumn, DataSource } from 'typeorm';
import { AliKassaModule, alikassaEntities, InjectPayoutService, isFinal, OnPayoutStatus, PayoutService } from 'nestjs-alikassa';
import type { AliKassaOptions, Payout, PayoutStatusChange } from 'nestjs-alikassa';
import { AliKassaSimulator } from 'nestjs-alikassa/testing';
declare const env: NodeJS.ProcessEnv, database: object, options: AliKassaOptions, AppModule: new () => object;
declare const secondOptions: AliKassaOptions, secondPayouts: PayoutService;
declare const dataSource: DataSource, payouts: PayoutService, payout: Payout, simulator: AliKassaSimulator;
declare const userId: string, Balance: new () => { userId: string; amount: string };
export {};
`;

/** Compiles the blocks as files of this repository. @returns the faults of each, by its place in the guide. */
function faultsOf(some: CodeBlock[]): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.');
  const files = new Map(
    some.map(({ at, note, code }, index) => [
      resolve(`test/docs/block-${index}.ts`),
      { at, text: note === 'no-run' ? `${SURROUNDINGS}{\n${code}}` : code },
    ]),
  );
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => files.has(name) || disk.fileExists(name),
    readFile: (name) => files.get(name)?.text ?? disk.readFile(name),
    getSourceFile: (name, version, ...rest) => {
      const block = files.get(name);
      return block ? ts.createSourceFile(name, block.text, version) : disk.getSourceFile(name, version, ...rest);
    },
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files].flatMap(([name, { at }]) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => `${at}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
  );
}

describe('a code block of the README or a guide', () => {
  it('is of a kind that is checked here', () => {
    const kinds = new Set(blocks.map(({ language }) => language));
    // Those without a language are drawings.
    expect([...kinds].sort()).toEqual(['', 'json', 'mermaid', 'sh', 'sql', 'ts', 'yaml']);
    const drawings = of('').filter(({ code }) => !code.includes('->'));
    expect(drawings.map(({ at }) => at)).toEqual([]);
  });

  it.each(of('yaml'))('in YAML can be read: $at', ({ code }) => {
    expect(parse(code)).toBeInstanceOf(Object);
  });

  it.each(of('json'))('in JSON can be read: $at', ({ code }) => {
    expect(JSON.parse(code)).toBeInstanceOf(Object);
  });

  it('in TypeScript compiles, against the sources', () => {
    expect(faultsOf(of('ts').filter(({ note }) => !note.startsWith('file=')))).toEqual([]);
  }, 120_000);

  it('that shows a file of the repository is that file', () => {
    const shown = of('ts').filter(({ note }) => note.startsWith('file='));
    expect(shown.length).toBeGreaterThan(0);
    for (const { note, code } of shown) expect(code).toBe(readFileSync(note.slice('file='.length), 'utf8'));
  });

  it.each(named(of('sh')))('for the shell can be read by bash: %s', (_at, { code }) => {
    expect(() => execFileSync('bash', ['-n'], { input: code, stdio: 'pipe' })).not.toThrow();
  });

  it('in SQL that has a name is run by a spec or a helper', () => {
    const sources = ['test/e2e', 'test/helpers'].flatMap((folder) =>
      readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')),
    );
    const unused = of('sql').filter(
      ({ note }) => note !== '' && !sources.some((text) => text.includes(`guideSql('${note}')`)),
    );
    expect(unused.map(({ at }) => at)).toEqual([]);
  });
});

describe('a link of the README or a guide', () => {
  it.each(GUIDES)('leads to a file and a heading that exist: %s', (file) => {
    const links = [...readFileSync(file, 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
    const dead = links.filter(([, path, heading]) => {
      const target = path ? join(dirname(file), path) : file;
      return !existsSync(target) || (heading && !anchorsOf(target).includes(heading));
    });
    expect(dead.map(([link]) => link)).toEqual([]);
  });
});

/** Headings as GitHub makes anchors of them. */
function anchorsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

it('the diagram of the states shows every transition, and no other', () => {
  const diagram = codeBlocks('docs/states.md').find(({ language }) => language === 'mermaid')?.code ?? '';
  const shown = [...diagram.matchAll(/^ *(\w+) --> (\w+)/gm)].map(([, from, to]) => `${from} ${to}`);
  const known = Object.entries(TRANSITIONS).flatMap(([from, next]) => next.map((to) => `${from} ${to}`));
  expect(shown.sort()).toEqual(known.sort());
});

it('the guide for operating has a row for every alarm, and for no other', () => {
  const guide = readFileSync('docs/operating.md', 'utf8');
  const table = guide.slice(guide.indexOf('## `attention`'), guide.indexOf('## After an outage'));
  const named = [...table.matchAll(/^\| (`[^|]+)\|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)]);
  expect(new Set(named.map(([, alarm]) => alarm))).toEqual(new Set(ALARMS));
});

it('the lines of the guide for operating reach their endpoints, and its SQL runs', async () => {
  const host = await startApplication();
  try {
    const { id } = await host.payouts.create(payload({ amount: '5.04' }) as never);
    await host.until(id, 'wait');
    const env = {
      PATH: process.env.PATH,
      URL: await host.app.getUrl(),
      TOKEN: 't',
      ID: id,
    };
    const lines = codeBlocks('docs/operating.md').filter(({ language }) => language === 'sh');
    const functions = lines.find(({ note }) => note === 'functions')?.code ?? '';
    const cwd = await mkdtemp(join(tmpdir(), 'operating-'));
    for (const { at, code } of lines.filter(({ note }) => note === '')) {
      const script = ['-euo', 'pipefail', '-c', `${functions}\n${code}`];
      const { stdout } = await promisify(execFile)('bash', script, { env, cwd });
      expect([at, stdout]).not.toEqual([at, expect.stringMatching(/Cannot (?:GET|POST)|^$/)]);
      expect([at, stdout]).not.toEqual([at, expect.stringMatching(/invalid_input|revision_required|stale_revision/)]);
    }
    const unnamed = of('sql').filter(({ note }) => note === '');
    for (const { code } of unnamed) await expect(host.database.pool.query(code)).resolves.toBeDefined();
  } finally {
    await host.stop();
  }
});
