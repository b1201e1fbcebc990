/** What the pages of gateways say: their files, started as they stand there with ports of our own, and their commands with the output. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { need, type Program } from '../support/debian.ts';
import { startForegate } from '../support/gateway.ts';
import { freePort, runProcess, startProcess, waitForPort, type Process } from '../support/processes.ts';

interface Page {
  readonly program: Program;
  /** Its configuration in the page: the language of the block. */
  readonly language: string;
  launch(folder: string, text: string): Promise<string[]>;
}

const pages: readonly Page[] = [
  {
    program: 'haproxy',
    language: 'haproxy',
    launch: async (folder, text) => {
      await writeFile(join(folder, 'haproxy.cfg'), text);
      return ['-db', '-q', '-f', join(folder, 'haproxy.cfg')];
    },
  },
  {
    program: 'caddy',
    language: 'caddy',
    launch: async (folder, text) => {
      await writeFile(join(folder, 'Caddyfile'), `{\n  admin off\n  auto_https off\n}\n${text}`);
      return ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'];
    },
  },
  {
    program: 'nginx',
    language: 'nginx',
    launch: async (folder, text) => {
      await mkdir(join(folder, 'temp'));
      const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      const temp = kinds.map((name) => `${name}_temp_path ${join(folder, 'temp', name)};`).join('\n');
      const main = `daemon off; master_process off; pid ${folder}/pid; error_log stderr error; events {}`;
      await writeFile(join(folder, 'nginx.conf'), `${main}\nhttp {\naccess_log off;\n${temp}\n${text}}\n`);
      return ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
    },
  },
];

for (const { program, language, launch } of pages) {
  describe(`the page of ${program}`, () => {
    it('shows what its commands print', async function () {
      this.timeout(30_000);
      const folder = await mkdtemp(join(tmpdir(), 'foregate-page-'));
      const [page, port, backendPort] = [await readPage(program), await freePort(), await freePort()];
      const local = (text: string): string => text.replaceAll(':8080', `:${port}`).replaceAll('9000', String(backendPort));
      await writeFile(join(folder, 'echo.mjs'), local(block(page, 'js', 0)));
      const backend = startProcess(process.execPath, [join(folder, 'echo.mjs')]);
      const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
      const gateway = startProcess(need(program), await launch(folder, local(block(page, language, 0))), { env });
      const foregate = await startForegate(`control: { port: 0 }\n${local(block(page, 'yaml', 0)).replace('7999', '0')}`);
      try {
        await waitForPort(backendPort, backend);
        await waitForPort(port, gateway);
        await writeFile(join(folder, 'client.mjs'), block(page, 'js', 1).replace('7999', String(foregate.port)));
        for (const { command, output } of commands(local(block(page, 'console', 0))))
          assert.equal(
            await runProcess('bash', ['-c', command.replace(/^node /, `${process.execPath} `)], { cwd: folder }),
            output,
          );
      } finally {
        await foregate.stop();
        await end([backend, gateway], folder);
      }
    });
  });
}

function readPage(program: string): Promise<string> {
  return readFile(join(import.meta.dirname, '..', '..', 'docs', 'gateways', `${program}.md`), 'utf8');
}

/** The content of the block number `i` in a language. @throws Error if there is none */
function block(page: string, language: string, i: number): string {
  const found = [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))][i]?.[1];
  if (found === undefined) throw new Error(`The page has no block ${i} in ${language}.`);
  return found;
}

function commands(text: string): { command: string; output: string }[] {
  const parts = text.split(/^\$ /m).slice(1);
  return parts.map((part) => ({ command: part.slice(0, part.indexOf('\n')), output: part.slice(part.indexOf('\n') + 1) }));
}

async function end(processes: readonly Process[], folder: string): Promise<void> {
  await Promise.all(processes.map((one) => one.stop('SIGKILL')));
  await rm(folder, { recursive: true, force: true });
}
