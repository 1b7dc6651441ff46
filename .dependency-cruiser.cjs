// The import rules of docs/architecture.md: who may import whom. `manifest` and `fuse` stand alone, are pure of
// the other rooms, and are the two that could be published on their own.
const room = (name, allowed, comment) => ({
  name: `${name}-imports`,
  comment,
  severity: 'error',
  from: { path: `^${name}/` },
  to: {
    path: '^(manifest|client|service|fuse|daemon|demo|drill|tools|test|bench)/',
    pathNot: `^(${[name, ...allowed].join('|')})/`,
  },
});

module.exports = {
  forbidden: [
    room('manifest', [], 'manifest is pure: it imports nothing of ours'),
    room('fuse', [], 'fuse knows nothing of secrets: it imports nothing of ours'),
    room('client', ['manifest'], 'client -> manifest'),
    room('service', ['manifest'], 'service -> manifest'),
    room('daemon', ['client', 'fuse', 'manifest'], 'daemon -> client, fuse, manifest'),
    room(
      'demo',
      ['manifest', 'client', 'service', 'fuse', 'daemon', 'tools'],
      'demo may import all but drills and tests',
    ),
    room(
      'drill',
      ['manifest', 'client', 'service', 'fuse', 'daemon', 'demo', 'tools'],
      'drill may import all but tests',
    ),
    {
      name: 'manifest-no-io',
      comment: 'manifest computes: no file, no socket, no process, no clock',
      severity: 'error',
      from: { path: '^manifest/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer)$' },
    },
    {
      name: 'command-line-stays-outside',
      comment: 'the daemon shares the verified client, never the command line',
      severity: 'error',
      from: { path: '^daemon/' },
      to: { path: '^client/cli/' },
    },
    {
      name: 'vault-knows-no-fuse',
      comment:
        'the core declares the interfaces it needs; only engine/, tree/, what assembles them, and what asks the kernel for ' +
        'its list of mounts meet fuse/',
      severity: 'error',
      from: {
        path: '^daemon/',
        pathNot: '^daemon/(engine|tree)/|^daemon/(lapsed|serving-thread|drill/probe-group)\\.ts$',
      },
      to: { path: '^fuse/' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'not-resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^fuse-native$' },
    },
    {
      name: 'no-dev-in-product',
      severity: 'error',
      from: { path: '^(manifest|client|service|fuse|daemon)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
