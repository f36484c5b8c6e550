// Pages of OmniGlyph as its `export` command makes them. Arguments: the package's folder.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const core = (file) => import(pathToFileURL(join(process.argv[2], 'dist/core', file)).href);
const { renderTextToImages } = await core('library.js');
const { runExportCore, DEFAULT_EXPORT_COLS } = await core('export.js');

for await (const line of createInterface({ input: process.stdin })) {
  const { text_file, folder, model, runs } = JSON.parse(line);
  const text = readFileSync(text_file, 'utf8');
  const render = () => renderTextToImages(text, { cols: DEFAULT_EXPORT_COLS, reflow: true });
  const { pages, droppedChars } = await render();
  const options = { cols: DEFAULT_EXPORT_COLS, model, sourceFiles: [] };
  const { tokenReport } = (await runExportCore(text, options)).manifest;
  const seconds = [];
  for (let i = 0; i < runs; i++) {
    const before = process.cpuUsage();
    await render();
    const { user, system } = process.cpuUsage(before);
    seconds.push((user + system) / 1e6);
  }
  const files = pages.map((page, i) => {
    const file = join(folder, `${String(i).padStart(5, '0')}.png`);
    writeFileSync(file, page.png);
    return file;
  });
  const claims = {
    visual_tokens: tokenReport.imageTokens,
    text_tokens: tokenReport.textTokens,
    lost_chars: droppedChars,
  };
  const sizes = pages.map((page) => [page.width, page.height]);
  console.log(JSON.stringify({ files, sizes, claims, seconds }));
}
