// Text in XML and HTML. Host names, codes and versions come from hosts: every text goes through here, and none can be markup.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for attributes between quotes. What XML 1.0 cannot hold at all becomes a question mark. */
export function escapeMarkup(text: string): string {
  return text
    .replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g, '?')
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** Attributes that are absent are left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element whose content is markup already. */
export function element(name: string, attributes: Attributes = {}, ...content: readonly string[]): string {
  const head = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeMarkup(String(value))}"`)
    .join('');
  return `<${name}${head}>${content.join('')}</${name}>`;
}
