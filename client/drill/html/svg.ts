// The few parts that all pictures are made of. Colours and fonts come from the page's style, by class, so a picture follows the
// reader's light or dark, and paper.
import { element, escapeMarkup } from '../markup.ts';
import type { Attributes } from '../markup.ts';
import type { Scale } from './scale.ts';

/** All pictures are equally wide, so that their letters are equally large. */
export const WIDTH = 960;

/** `title` names the picture, `description` tells what it shows to who cannot see it. */
export function picture(
  id: string,
  height: number,
  title: string,
  description: string,
  ...content: readonly string[]
): string {
  const svg = element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-labelledby': `${id}-title ${id}-description` },
    element('title', { id: `${id}-title` }, escapeMarkup(title)),
    element('desc', { id: `${id}-description` }, escapeMarkup(description)),
    ...content,
  );
  return element('div', { class: 'picture', tabindex: 0 }, svg);
}

export function text(x: number, y: number, name: string, content: string, anchor = 'start'): string {
  return element(
    'text',
    { x: place(x), y: place(y), class: name, 'text-anchor': anchor },
    escapeMarkup(content),
  );
}

export function line(x1: number, y1: number, x2: number, y2: number, name: string): string {
  return element('line', { x1: place(x1), y1: place(y1), x2: place(x2), y2: place(y2), class: name });
}

/** What is shown when the pointer rests on it. */
export function hint(content: string, ...parts: readonly string[]): string {
  return element('g', {}, element('title', {}, escapeMarkup(content)), ...parts);
}

/** Upright lines at the ticks, and their numbers above or below. */
export function grid(scale: Scale, top: number, bottom: number, labelsAt: number): string {
  return scale.ticks
    .map((tick) => {
      const x = scale.at(tick);
      return line(x, top, x, bottom, 'grid') + text(x, labelsAt, 'tick', scale.label(tick), 'middle');
    })
    .join('');
}

export function shape(name: string, attributes: Attributes): string {
  return element(name, attributes);
}

/** A tenth of a pixel is enough. */
export function place(value: number): number {
  return Math.round(value * 10) / 10;
}
