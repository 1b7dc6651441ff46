// The state that an OCI runtime hands to a hook, in the forms that runc, crun and podman give it.
import { expect, test } from 'vitest';
import { parseState } from '../../../daemon/hook/state.ts';

const parse = (state: unknown): ReturnType<typeof parseState> =>
  parseState(Buffer.from(JSON.stringify(state)));
const annotations = { 'dev.lapse.workload': 'web', 'io.other': 'x' };

test.for<[string, object, object]>([
  [
    'ours',
    { ociVersion: '1.2.0', id: 'c1', status: 'creating', pid: 42, bundle: '/b', annotations },
    { id: 'c1', pid: 42, workload: 'web' },
  ],
  ['not ours', { id: 'c1', pid: 42, annotations: { 'io.other': 'x' } }, { id: 'c1', pid: 42 }],
  ['without annotations', { id: 'c1', pid: 42 }, { id: 'c1', pid: 42 }],
  ['that has ended', { id: 'c1', status: 'stopped', annotations }, { id: 'c1', pid: 0, workload: 'web' }],
  [
    'that has ended, with a pid of 0',
    { id: 'c1', pid: 0, annotations },
    { id: 'c1', pid: 0, workload: 'web' },
  ],
])('a container %s', ([, state, read]) => {
  expect(parse(state)).toEqual(read);
});

test.for<[string, unknown]>([
  ['no id', { pid: 1 }],
  ['a number for an id', { id: 1 }],
  ['a text for a pid', { id: 'c1', pid: '1' }],
  ['a negative pid', { id: 'c1', pid: -1 }],
  ['annotations that are a list', { id: 'c1', annotations: [] }],
  ['a workload that is no text', { id: 'c1', annotations: { 'dev.lapse.workload': 1 } }],
  ['null', null],
])('%s is refused', ([, state]) => {
  expect(() => parse(state)).toThrow(expect.objectContaining({ code: 'metadata-malformed' }) as Error);
});

test('no JSON, too much of it, and an annotation said twice', () => {
  const code = (name: string): Error => expect.objectContaining({ code: name }) as Error;
  expect(() => parseState(Buffer.from(''))).toThrow(code('json-invalid'));
  expect(() => parseState(Buffer.alloc((1 << 20) + 1, ' '))).toThrow(code('json-too-large'));
  expect(() =>
    parseState(Buffer.from('{"id":"a","annotations":{"dev.lapse.workload":"a","dev.lapse.workload":"b"}}')),
  ).toThrow(code('json-duplicate-key'));
});
