// One walk over the text of a JSON document before anything is built from it. It refuses what V8 lets pass and Lapse must
// not (`json.ts`), and makes the canonical form of one member out of slices of the text. Its findings mean something only
// if JSON.parse takes the same text; of any other it may say what it likes, but it ends. It takes linear time, and where
// members are out of order what sorting them takes.
//
// Why slices are enough: from a text to its canonical form white space goes, members are sorted and escapes are undone;
// an integer has one spelling. So where none of that is to be done, the text is its own canonical form, and elsewhere it
// is put together of parts of which that holds. For every text: the form of a member is canonicalJson of its value.
import { checkNumber, compareKeys, encodeString, rank } from './canonical-scalar.ts';
import { ManifestError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Where a value stands in the text, and its canonical form, unless that is what stands there. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly canonical?: string;
}

/** A member or an element: from where to where, and its canonical form, unless that is what stands there. */
interface Part {
  start: number;
  end: number;
  form: string | undefined;
  /** Of a member that is being sorted, if there are escapes: its key without them. */
  key: string | undefined;
}

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BIG_E = 0x45;
const SMALL_E = 0x65;
const FORBIDDEN = '__proto__';
const NO_PART: Part = { start: 0, end: 0, form: undefined, key: undefined };
/** Objects with more members are sorted before. */
const FEW = 16;
/** So many characters of a number are always a safe integer. */
const SAFE_LENGTH = 15;

/** What a document may have besides; nothing of it has a canonical form. */
export interface Leeway {
  /** Numbers with a fraction or an exponent. */
  readonly fractions: boolean;
  /** How many values. */
  readonly values: number;
}

const NO_LEEWAY: Leeway = { fractions: false, values: LIMITS.jsonValues };

/**
 * Of the root's member `wanted`, if it has one: where it stands, and its canonical form.
 * @throws ManifestError json-*; SyntaxError: no JSON
 */
export function scanJson(text: string, wanted?: string): Span | undefined {
  return new Scan(text, wanted, NO_LEEWAY).run();
}

/** The same refusals, but for the leeway. @throws ManifestError json-*; SyntaxError: no JSON */
export function checkJson(text: string, leeway: Leeway): void {
  new Scan(text, undefined, leeway).run();
}

class Scan {
  readonly #text: string;
  readonly #wanted: string | undefined;
  readonly #hasEscapes: boolean;
  readonly #leeway: Leeway;
  #found: Span | undefined;
  /** Whether the canonical form of what is walked over is asked for. */
  #isAsked = false;
  #at = 0;
  #depth = 0;
  #values = 1;
  /** The parts of all that is open, and after them such as were there before. */
  readonly #parts: Part[] = [];
  #count = 0;

  constructor(text: string, wanted: string | undefined, leeway: Leeway) {
    this.#text = text;
    this.#wanted = wanted;
    this.#leeway = leeway;
    this.#hasEscapes = text.includes('\\');
  }

  run(): Span | undefined {
    this.#space();
    this.#value();
    return this.#found;
  }

  /** These return the canonical form, or nothing where the text is that already, or where nobody asked. */
  #value(): string | undefined {
    switch (this.#text.charCodeAt(this.#at)) {
      case QUOTE:
        return this.#string();
      case OPEN_OBJECT:
        return this.#object();
      case OPEN_ARRAY:
        return this.#array();
      default:
        this.#primitive();
        return undefined;
    }
  }

  #object(): string | undefined {
    const first = this.#enter();
    let isPlain = !this.#space();
    let isAscending = true;
    let before = -1;
    while (this.#isMore(before < 0, CLOSE_OBJECT)) {
      isPlain = !this.#space() && isPlain;
      const start = this.#at;
      const isEscaped = this.#key();
      isAscending &&= !isEscaped && (before < 0 || compareAt(this.#text, before, start) < 0);
      before = start;
      const isSame = this.#member(start, isEscaped);
      isPlain = !this.#space() && isPlain && isSame;
    }
    if (!isAscending) this.#sort(first);
    return this.#leave(first, isPlain && isAscending, '{', '}');
  }

  #array(): string | undefined {
    const first = this.#enter();
    let isPlain = !this.#space();
    for (let isFirst = true; this.#isMore(isFirst, CLOSE_ARRAY); isFirst = false) {
      isPlain = !this.#space() && isPlain;
      const start = this.#at;
      const form = this.#value();
      if (this.#isAsked) this.#push(start, form);
      isPlain = !this.#space() && isPlain && form === undefined;
    }
    return this.#leave(first, isPlain, '[', ']');
  }

  /** Past the bracket. Returns the number of its first part. */
  #enter(): number {
    if (++this.#depth > LIMITS.jsonDepth) {
      throw new ManifestError('json-too-deep', `nested deeper than ${LIMITS.jsonDepth}`);
    }
    this.#at++;
    return this.#count;
  }

  /** Past the comma before a part that is not the first, or past the closing bracket. */
  #isMore(isFirst: boolean, close: number): boolean {
    const code = this.#text.charCodeAt(this.#at);
    if (code === close) {
      this.#at++;
      return false;
    }
    if (isFirst) return true;
    if (code !== COMMA) throw new SyntaxError();
    if (++this.#values > this.#leeway.values) {
      throw new ManifestError('json-too-many-values', `more than ${this.#leeway.values} values`);
    }
    this.#at++;
    return true;
  }

  #push(start: number, form: string | undefined): void {
    const part = (this.#parts[this.#count++] ??= { ...NO_PART });
    part.start = start;
    part.end = this.#at;
    part.form = form;
  }

  #leave(first: number, isPlain: boolean, open: string, close: string): string | undefined {
    this.#depth--;
    let form: string | undefined;
    if (this.#isAsked && !isPlain) {
      form = open;
      for (let i = first; i < this.#count; i++) form += (i > first ? ',' : '') + this.#form(i);
      form += close;
    }
    this.#count = first;
    return form;
  }

  #form(i: number): string {
    const { start, end, form } = this.#partAt(i);
    return form ?? this.#text.slice(start, end);
  }

  #partAt(i: number): Part {
    return this.#parts[i] as Part;
  }

  /** What follows a key: a colon and a value. Returns whether all of the member is as its canonical form is. */
  #member(start: number, isEscaped: boolean): boolean {
    const keyEnd = this.#at;
    this.#space();
    if (this.#text.charCodeAt(this.#at) !== COLON) throw new SyntaxError();
    this.#at++;
    this.#space();
    const isWanted = this.#depth === 1 && this.#wanted !== undefined && this.#keyAt(start) === this.#wanted;
    if (isWanted) this.#isAsked = true;
    const valueStart = this.#at;
    const canonical = this.#value();
    if (isWanted) {
      this.#isAsked = false;
      this.#found = { start: valueStart, end: this.#at, ...(canonical === undefined ? {} : { canonical }) };
    }
    const isPlain = !this.#isAsked || (!isEscaped && valueStart === keyEnd + 1 && canonical === undefined);
    this.#push(start, isPlain ? undefined : this.#pair(start, keyEnd, isEscaped, valueStart, canonical));
    return isPlain;
  }

  #pair(start: number, keyEnd: number, isEscaped: boolean, valueStart: number, value?: string): string {
    const key = isEscaped ? encodeString(this.#keyAt(start)) : this.#text.slice(start, keyEnd);
    return `${key}:${value ?? this.#text.slice(valueStart, this.#at)}`;
  }

  /** Past a key. Returns whether it has escapes. */
  #key(): boolean {
    const start = this.#at;
    if (this.#text.charCodeAt(start) !== QUOTE) throw new SyntaxError();
    this.#at = endOfString(this.#text, start) + 1;
    const isEscaped = this.#isEscaped(start);
    const mayBe = isEscaped || this.#at - start === FORBIDDEN.length + 2;
    if (mayBe && this.#keyAt(start) === FORBIDDEN) {
      throw new ManifestError('json-forbidden-key', `a key named ${FORBIDDEN}`);
    }
    return isEscaped;
  }

  #isEscaped(start: number): boolean {
    return this.#hasEscapes && this.#text.slice(start, this.#at).includes('\\');
  }

  #keyAt(start: number): string {
    const end = endOfString(this.#text, start);
    const raw = this.#text.slice(start + 1, end);
    return this.#hasEscapes && raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
  }

  /** Brings the members of an object into the order of their keys. @throws ManifestError json-duplicate-key */
  #sort(first: number): void {
    if (this.#hasEscapes) {
      for (let i = first; i < this.#count; i++) this.#partAt(i).key = this.#keyAt(this.#partAt(i).start);
    }
    if (this.#count - first > FEW) {
      const members = this.#parts.slice(first, this.#count).sort((a, b) => this.#compare(a, b));
      for (let i = 0; i < members.length; i++) this.#parts[first + i] = members[i] as Part;
    }
    // By insertion, which is quickest for a few, and for what is sorted already a look at each.
    for (let i = first + 1; i < this.#count; i++) {
      const member = this.#partAt(i);
      let at = i;
      let order = this.#compare(this.#partAt(at - 1), member);
      while (order > 0) {
        this.#parts[at] = this.#partAt(--at);
        order = at > first ? this.#compare(this.#partAt(at - 1), member) : -1;
      }
      if (order === 0) throw new ManifestError('json-duplicate-key', 'a key stands twice in one object');
      this.#parts[at] = member;
    }
  }

  #compare(a: Part, b: Part): number {
    return this.#hasEscapes ? compareKeys(a.key ?? '', b.key ?? '') : compareAt(this.#text, a.start, b.start);
  }

  #string(): string | undefined {
    const start = this.#at;
    this.#at = endOfString(this.#text, start) + 1;
    if (!this.#isAsked || !this.#isEscaped(start)) return undefined;
    return encodeString(JSON.parse(this.#text.slice(start, this.#at)) as string);
  }

  /** A number, or a word, which only JSON.parse reads. */
  #primitive(): void {
    const start = this.#at;
    let code = this.#text.charCodeAt(start);
    if (code === MINUS || isDigit(code)) {
      this.#number();
      return;
    }
    while (isLetter(code)) code = this.#text.charCodeAt(++this.#at);
    if (this.#at === start) throw new SyntaxError();
  }

  #number(): void {
    const start = this.#at;
    let at = start + 1;
    while (isDigit(this.#text.charCodeAt(at))) at++;
    this.#at = at;
    if (isFraction(this.#text.charCodeAt(at)) && isDigit(this.#text.charCodeAt(at - 1))) {
      if (!this.#leeway.fractions)
        throw new ManifestError('json-not-canonical', 'a number that is not written as an integer');
      this.#fraction();
      return;
    }
    const mayBeUnsafe = at - start > SAFE_LENGTH || this.#text.charCodeAt(start) === MINUS;
    if (this.#isAsked && mayBeUnsafe) checkNumber(Number(this.#text.slice(start, at)));
  }

  /** Past what may stand in a fraction and an exponent; JSON.parse knows where. */
  #fraction(): void {
    let code = this.#text.charCodeAt(this.#at);
    while (isDigit(code) || isFraction(code) || code === PLUS || code === MINUS)
      code = this.#text.charCodeAt(++this.#at);
  }

  /** Past white space. Returns whether there was any. */
  #space(): boolean {
    const start = this.#at;
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++;
    return this.#at > start;
  }
}

/** compareKeys of two keys without escapes, each from its quote on. */
function compareAt(text: string, a: number, b: number): number {
  for (let i = 1; ; i++) {
    const x = text.charCodeAt(a + i);
    const y = text.charCodeAt(b + i);
    if (x === y && x !== QUOTE) continue;
    if (x === QUOTE || y === QUOTE) return (x === QUOTE ? 0 : 1) - (y === QUOTE ? 0 : 1);
    return rank(x) - rank(y);
  }
}

/** Of the quote that ends the string, or of the text. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let i = at;
  while (text.charCodeAt(i - 1) === BACKSLASH) i--;
  return (at - i) % 2 === 1;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}

function isLetter(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}

function isFraction(code: number): boolean {
  return code === DOT || code === BIG_E || code === SMALL_E;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
