// Values that tell whether they are whole: a number, as many dots as follow from it, and the number again.

export function valueOf(number: number): string {
  return `${number} ${'.'.repeat((number * 977) % 9000)} ${number}`;
}

/** Its number, or `torn`. */
export function wholeValue(text: string): string {
  const number = parseInt(text, 10);
  return text === valueOf(number) ? String(number) : 'torn';
}
