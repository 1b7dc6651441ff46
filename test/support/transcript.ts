// What pages and transcripts show, and what programs say: `…` stands for anything within a line, and alone for any
// lines, or none.

/** A line with a prompt, and what stands below it. */
export interface PageStep {
  /** The machine in the prompt. */
  readonly who: string;
  readonly command: string;
  readonly expected: string;
}

/** Every step of the `console` blocks of a page, in their order. A prompt is `machine$ ` or `machine# `. */
export function pageSteps(page: string): readonly PageStep[] {
  const blocks = [...page.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block = '']) => block);
  return blocks.flatMap((block) =>
    block.split(/^(?=[a-z0-9-]+[$#] )/m).map((part) => {
      const [, who = '', command = '', expected = ''] = /^([a-z0-9-]+)[$#] (.*)\n([^]*)$/.exec(part) ?? [];
      return { who, command, expected: expected.trim() };
    }),
  );
}

/** Matches what may come where this is shown. */
export function outputPattern(expected: string): RegExp {
  const source = expected
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/^…\n/gm, '(?:[^]*?\n)?')
    .replaceAll(/^…$/gm, '[^]*?')
    .replaceAll('…', '.*');
  return new RegExp(`^${source}$`);
}
