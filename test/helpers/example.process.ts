import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

const SOURCES = resolve('examples/host-transaction');

/** The example host as processes of its own, on the built package. */
export class ExampleHost {
  private readonly folder: string;
  private child?: ChildProcess;
  private output = '';

  /** @param env what the example reads. */
  constructor(private readonly env: Record<string, string>) {
    // Below this package, so that its name leads to the build.
    mkdirSync('reports', { recursive: true });
    this.folder = mkdtempSync(resolve('reports/example-'));
    const options = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)).config as {
      compilerOptions: Record<string, unknown>;
    };
    const { options: compilerOptions } = ts.convertCompilerOptionsFromJson(options.compilerOptions, '.');
    for (const name of readdirSync(SOURCES).filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))) {
      const source = readFileSync(join(SOURCES, name), 'utf8');
      const { outputText } = ts.transpileModule(source, {
        fileName: join(SOURCES, name),
        compilerOptions: { ...compilerOptions, module: ts.ModuleKind.ESNext },
      });
      writeFileSync(join(this.folder, name.replace(/\.ts$/, '.js')), outputText);
    }
  }

  /** @throws Error with its output if it ends before it listens. */
  async start(): Promise<void> {
    const child = fork(join(this.folder, 'main.js'), {
      env: { PATH: process.env.PATH, ...this.env },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    await new Promise<void>((listens, fails) => {
      child.once('message', () => listens());
      child.once('exit', () => fails(new Error(`The example ended before it listened:\n${this.output}`)));
    });
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill('SIGTERM');
    rmSync(this.folder, { recursive: true });
  }
}
