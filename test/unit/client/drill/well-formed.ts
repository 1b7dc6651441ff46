// A strict little reader of markup, for tests: every element is closed in order, every `<` and `&` is markup or escaped.
const TAG = /^<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/;

/** @throws Error at the first place that is not well-formed. `empty` are HTML's elements without an end. */
export function wellFormed(text: string, empty: readonly string[] = []): void {
  const open: string[] = [];
  let rest = text.replace(/^<\?xml [^?]*\?>\s*|^<!doctype html>\s*/i, '');
  while (rest !== '') {
    const [plain = ''] = /^[^<]*/.exec(rest) ?? [];
    escaped(plain);
    rest = rest.slice(plain.length);
    if (rest === '') break;
    const [whole, end, name = '', attributes = '', alone] = TAG.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`not a tag: ${rest.slice(0, 80)}`);
    escaped(attributes);
    rest = rest.slice(whole.length);
    if (end === '/') {
      if (open.pop() !== name) throw new Error(`unexpected </${name}>`);
    } else if (alone === '' && !empty.includes(name)) {
      open.push(name);
      // Scripts and styles hold text of another grammar.
      if (name === 'script' || name === 'style') rest = rest.slice(rest.indexOf(`</${name}>`));
    }
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join(', ')}`);
}

function escaped(text: string): void {
  const bare = /&(?!(?:amp|lt|gt|quot|#39);)/.exec(text);
  if (bare) throw new Error(`a bare &: ${text.slice(bare.index, bare.index + 40)}`);
  if (/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(text)) throw new Error('a control character');
}
