// What the service tells its operator: one line an event, `name key=value`. No request body, no file and no key ever
// goes in here; names that a client chose only after they were verified.

export type Log = (event: string, details?: Readonly<Record<string, string | number>>) => void;

export function formatEvent(event: string, details: Readonly<Record<string, string | number>> = {}): string {
  const pairs = Object.entries(details).map(([key, value]) => `${key}=${quote(value)}`);
  return ['lapse-service:', event, ...pairs].join(' ');
}

function quote(value: string | number): string {
  return typeof value === 'number' || /^[\w./:@-]+$/.test(value) ? String(value) : JSON.stringify(value);
}
