/**
 * What a server leaves for the next one, and for the holder that may have to withdraw alone, in the holder's directory
 * on tmpfs: the agreement of INIT, the nodes whose pages the kernel may hold, the mounts. Each file is replaced as a
 * whole. A server owes: agreement and mounts before `ready`, and a node in the list before the kernel hears of it.
 */
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FuseError } from '../errors.ts';
import { canonical } from '../mountinfo.ts';
import type { Agreement } from '../negotiation.ts';
import type { NodeId } from '../tree.ts';

const FILE = { agreement: 'agreement.json', nodes: 'withdraw', mounts: 'mounts' } as const;
const MAX_U32 = 2 ** 32 - 1;
const NODE_RANGE = 2 ** 52;

export class HeldState {
  readonly #run: string;
  #last: Promise<unknown> = Promise.resolve();

  /** @param run the holder's directory, which only its owner enters */
  constructor(run: string) {
    this.#run = run;
  }

  saveAgreement({ minor, flags }: Agreement): Promise<void> {
    return this.#replace(FILE.agreement, JSON.stringify({ minor, flags }));
  }

  /** @throws FuseError state-invalid */
  async agreement(): Promise<Agreement> {
    return parseAgreement(await this.#read(FILE.agreement));
  }

  /** All nodes that may have been served, by this server or an earlier one, and may still be mapped. */
  saveNodes(nodes: Iterable<NodeId>): Promise<void> {
    return this.#replace(FILE.nodes, lines(Array.from(nodes, String)));
  }

  /** @throws FuseError state-invalid */
  async nodes(): Promise<NodeId[]> {
    return parseNodes(await this.#read(FILE.nodes));
  }

  /**
   * Where the file system is mounted, topmost first: the holder takes that away when it gives up, and nothing else that
   * lies there. The server must answer already.
   */
  async saveMounts(directories: readonly string[]): Promise<void> {
    const mounts = directories.map(async (directory) => {
      const [{ dev }, path] = await Promise.all([stat(directory), canonical(directory)]);
      return `${deviceNumber(dev)} ${escape(path)}`;
    });
    await this.#replace(FILE.mounts, lines(await Promise.all(mounts)));
  }

  async #read(name: string): Promise<string> {
    try {
      return await readFile(join(this.#run, name), 'utf8');
    } catch (cause) {
      throw new FuseError('state-invalid', `cannot read ${name} of an earlier server`, { cause });
    }
  }

  /** One at a time, so that the last call wins. */
  #replace(name: string, text: string): Promise<void> {
    const path = join(this.#run, name);
    const written = this.#last.then(async () => {
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
    });
    this.#last = written.catch(() => undefined);
    return written;
  }
}

/** As /proc/self/mountinfo shows it. */
function deviceNumber(dev: number): string {
  const [major, minor] = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)];
  return `${major}:${minor}`;
}

function escape(path: string): string {
  return path.replace(/[ \t\n\\]/g, (odd) => `\\${odd.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function lines(values: readonly string[]): string {
  return values.map((value) => `${value}\n`).join('');
}

export function parseAgreement(text: string): Agreement {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FuseError('state-invalid', 'the agreement is not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || !('minor' in value) || !('flags' in value))
    throw new FuseError('state-invalid', 'the agreement has no minor or no flags');
  const { minor, flags } = value;
  if (!isU32(minor) || !isU32(flags) || Object.keys(value).length !== 2)
    throw new FuseError('state-invalid', 'the agreement is more or less than two numbers');
  return { minor, flags };
}

export function parseNodes(text: string): NodeId[] {
  if (text !== '' && !text.endsWith('\n'))
    throw new FuseError('state-invalid', 'the list of nodes is cut off');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const node = Number(line);
      if (!/^[1-9]\d{0,15}$/.test(line) || node >= NODE_RANGE)
        throw new FuseError('state-invalid', `not a node: ${JSON.stringify(line.slice(0, 40))}`);
      return node;
    });
}

function isU32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_U32;
}
