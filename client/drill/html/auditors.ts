// For whoever must be able to rely on this page: what was measured, by which clocks, what the figures do not say, and how to check
// all of it without us.
import type { DrillKind } from '../../../manifest/realm/drill/order.ts';
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { element, escapeMarkup } from '../markup.ts';
import { counted, milliseconds } from '../words.ts';

const TAKEN_BACK: Readonly<Record<DrillKind, string>> = {
  revoke: 'revoked it',
  rotate: 'replaced it with another, without any overlap',
  workload: "withdrew the probe's grant",
  partition: 'revoked it after each host had stopped listening to the service in this one matter',
  crash: 'revoked it while a part of each host was killed or stopped, at a random moment',
};

export function auditors(summary: DrillSummary, record: DrillRecord, isWhole: boolean): string {
  return [
    topic('What was measured', measured(summary, record)),
    topic('Clocks, and how exact they are', clocks(record)),
    topic('What these figures do not say', LIMITS),
    topic('How to check it', check(summary, isWhole)),
    topic('Measured with', []) + environment(record),
  ].join('');
}

function measured({ kind }: DrillSummary, { warmUp, leaseSeconds }: DrillRecord): readonly string[] {
  return [
    `Each trial published a canary: a random value that protects nothing. When a probe on every host had read it in four ways ` +
      `(by opening its name, through a descriptor that it held open, through a private mapping, and whenever inotify spoke, at the latest every 10 ms), ` +
      `the operator's command ${TAKEN_BACK[kind]}. ` +
      (warmUp > 0
        ? `Before these trials, ${warmUp} others were made to warm up; they are not in any figure.`
        : 'No trial was left out to warm up.'),
    `Times count from clock zero: the operator's keys were unlocked, the value was read, consent was given. Everything after it counts: ` +
      `refreshing, encrypting, signing, the network, the disk, and waiting for a processor.`,
    `The effect on a host is the moment when the last notification to its kernel had returned${kind === 'partition' ? ', or its lease had ended' : ''}. ` +
      `A read is late if it began after that and succeeded. The control of that zero is the number of attempts that were made after the effect, ` +
      `in each way, in every trial: they would have been noticed.`,
    `The lease of this realm is ${leaseSeconds} s: a host that hears nothing for so long serves nothing any more.`,
  ];
}

function clocks({ trials }: DrillRecord): readonly string[] {
  const all = trials.flatMap(({ hosts }) => hosts);
  const same = new Set(all.filter(({ clock }) => clock === 'same').map(({ host }) => host)).size;
  const bounded = all.filter(({ clock }) => clock === 'bounded');
  const most = bounded.reduce((worst, { uncertaintyUs }) => Math.max(worst, uncertaintyUs), 0) / 1000;
  return [
    `Every time is read from CLOCK_MONOTONIC, which nobody can set. No figure is the difference of two machines' wall clocks.`,
    ...(same > 0
      ? [
          `${counted(same, 'host')} ran on one kernel with the command and the service: one clock, exact to the microsecond.`,
        ]
      : []),
    ...(bounded.length > 0
      ? [
          `${counted(new Set(bounded.map(({ host }) => host)).size, 'host')} had another clock. Their times are upper bounds, from what the service's own clock ` +
            `saw of the publish and of the host's answer: each is the latest moment that it can have been, and at most ${milliseconds(most)} too late. ` +
            `Differences between two moments on one host are exact.`,
        ]
      : []),
  ];
}

const LIMITS: readonly string[] = [
  `What a host reports is the word of an honest host, no proof of erasure. What a process had copied before is out of any reach, and so are ` +
    `pages that it had made private by writing, and bytes that it had already spliced into a pipe.`,
  `Percentiles are of these trials, on these machines, under the load that they had: each is a value that was measured (nearest rank), ` +
    `so p99.9 of fewer than a thousand values is the greatest of them. The bound is what is promised; the figures show how far below it these trials stayed.`,
  `The moment "pushed" is the service's unsigned word. It can shift what is shown between two stages, and no other figure.`,
];

function check({ recordSha256 }: DrillSummary, isWhole: boolean): readonly string[] {
  return [
    `The operator's key signs the summary, which names its record by sha256: ${recordSha256}. "lapse drill verify FILE" checks the signature, ` +
      `the hash, and that the record comes to exactly these figures.`,
    isWhole
      ? `Both are in this page, as JSON in the element "data". Saved as FILE, the hash is that of the output of "jq -cjS .record FILE". ` +
        `Each figure can be computed from the record's trials with any tool: sort the values, and take the one at rank ceil(p × n).`
      : `The record is too large for this page, and is in the JSON file that was written with it.`,
  ];
}

function topic(title: string, paragraphs: readonly string[]): string {
  return (
    element('h3', {}, escapeMarkup(title)) +
    paragraphs.map((each) => element('p', {}, escapeMarkup(each))).join('')
  );
}

function environment({ environment: parts, realm, drill }: DrillRecord): string {
  return element(
    'dl',
    {},
    ...Object.entries({ ...parts, realm, drill }).map(
      ([name, value]) => element('dt', {}, escapeMarkup(name)) + element('dd', {}, escapeMarkup(value)),
    ),
  );
}
