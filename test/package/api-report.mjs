import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

/**
 * The public surface of every entry of the package, as built, against the reports in docs/api: fails where they differ,
 * so that a change of the surface is seen in review. `--write` writes them anew.
 */
const FOLDER = resolve('docs/api');
const isWriting = process.argv.includes('--write');
const { name, exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const temporary = resolve('reports/api');
mkdirSync(FOLDER, { recursive: true });
rmSync(temporary, { recursive: true, force: true });
mkdirSync(temporary, { recursive: true });

/** What the report is not about: TSDoc's tags, release tags, and types of which only the shape is public. */
const none = { logLevel: ExtractorLogLevel.None, addToApiReportFile: false };

function reportOf(entry, types) {
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve('package.json'),
    configObject: {
      projectFolder: resolve('.'),
      mainEntryPointFilePath: resolve(types),
      compiler: { tsconfigFilePath: resolve('tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: `${basename(entry === '.' ? name : entry)}.api.md`,
        reportFolder: FOLDER,
        reportTempFolder: temporary,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: none },
        tsdocMessageReporting: { default: none },
        extractorMessageReporting: { default: none },
      },
    },
  });
  const faults = [];
  const { succeeded, apiReportChanged } = Extractor.invoke(config, {
    localBuild: isWriting,
    showVerboseMessages: false,
    messageCallback: (message) => {
      message.handled = true;
      if (message.logLevel === 'error') faults.push(message.text);
    },
  });
  return { path: config.reportFilePath, isGood: succeeded || isWriting, isChanged: apiReportChanged, faults };
}

for (const [entry, { types }] of Object.entries(exports)) {
  if (!types) continue;
  const { path, isGood, isChanged, faults } = reportOf(entry, types);
  const shown = `${basename(dirname(path))}/${basename(path)}`;
  if (isWriting) {
    console.log(`${isChanged ? 'written  ' : 'unchanged'} ${shown}`);
  } else if (isChanged || !isGood) {
    process.exitCode = 1;
    console.error(`${shown}: the surface of ${entry} differs; look at it, then npm run api:write.`, ...faults);
  } else {
    console.log(`unchanged ${shown}`);
  }
}
