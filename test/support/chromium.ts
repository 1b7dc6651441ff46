// Debian's chromium without a window: what a page becomes in a real browser, what the browser says about it, and a picture of it.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inflateSync } from 'node:zlib';

const PROGRAM = '/usr/bin/chromium';
export const hasChromium = existsSync(PROGRAM);

export interface Seen {
  /** The document after its scripts have run. */
  readonly dom: string;
  /** What the console would show: errors, and what the page's policy forbade. */
  readonly console: readonly string[];
  readonly picture: Picture;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** How many different colours there are, and which share of all pixels the commonest has. */
  readonly colours: number;
  readonly commonest: number;
}

/** Opens a file as a tab of that size would. */
export async function seeInBrowser(file: string, width: number, height: number): Promise<Seen> {
  const directory = mkdtempSync(join(tmpdir(), 'lapse-browser-'));
  const picture = join(directory, 'picture.png');
  try {
    const { stdout, stderr } = await promisify(execFile)(
      PROGRAM,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--disable-background-networking',
        '--hide-scrollbars',
        '--enable-logging=stderr',
        `--user-data-dir=${directory}`,
        `--window-size=${width},${height}`,
        `--screenshot=${picture}`,
        '--dump-dom',
        `file://${file}`,
      ],
      { timeout: 100_000, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 },
    );
    return {
      dom: stdout,
      console: stderr.split('\n').filter((line) => line.includes(':CONSOLE')),
      picture: decode(readFileSync(picture)),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** A PNG of 8 bits a channel, with or without alpha, not interlaced: what chromium writes. */
function decode(png: Buffer): Picture {
  const [width, height, bytes] = [png.readUInt32BE(16), png.readUInt32BE(20), png[25] === 6 ? 4 : 3];
  const rows = unfiltered(inflateSync(chunks(png)), width * bytes, height, bytes);
  const counts = new Map<number, number>();
  for (let i = 0; i < rows.length; i += bytes) {
    const colour = rows.readUIntBE(i, 3);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return { width, height, colours: counts.size, commonest: Math.max(...counts.values()) / (width * height) };
}

function chunks(png: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const [length, type] = [png.readUInt32BE(at), png.toString('latin1', at + 4, at + 8)];
    if (type === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + length));
  }
  return Buffer.concat(parts);
}

/** PNG (ISO/IEC 15948) §9.2: each row says how it was predicted from its left, upper and upper left neighbours. */
function unfiltered(data: Buffer, rowBytes: number, height: number, bytes: number): Buffer {
  const rows = Buffer.alloc(rowBytes * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (rowBytes + 1)];
    for (let x = 0; x < rowBytes; x++) {
      const at = y * rowBytes + x;
      const left = x >= bytes ? (rows[at - bytes] ?? 0) : 0;
      const up = y > 0 ? (rows[at - rowBytes] ?? 0) : 0;
      const corner = x >= bytes && y > 0 ? (rows[at - rowBytes - bytes] ?? 0) : 0;
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter ?? 0] ?? 0;
      rows[at] = (data[y * (rowBytes + 1) + 1 + x] ?? 0) + predicted;
    }
  }
  return rows;
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
