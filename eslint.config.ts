// Strict, typed lint. Two rules carry the architecture: a floating promise is an error, and only the two
// clock files may ask for the time (everything else is handed a clock, so that tests can move it).
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const CLOCK = 'Times are passed in: only client/clock.ts and service/clock.ts ask for one.';

export default defineConfig(
  { ignores: ['node_modules', 'out', '**/*.cjs'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    // drill/wall-clock.ts asks for none: it moves the wall clock of everybody else.
    ignores: ['client/clock.ts', 'service/clock.ts', 'drill/wall-clock.ts', 'test/**', 'bench/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'setImmediate', 'performance'].map((name) => ({
          name,
          message: CLOCK,
        })),
      ],
      'no-restricted-imports': [
        'error',
        ...['node:timers', 'node:timers/promises', 'node:perf_hooks'].map((name) => ({
          name,
          message: CLOCK,
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: CLOCK },
        { object: 'process', property: 'hrtime', message: CLOCK },
        { object: 'process', property: 'uptime', message: CLOCK },
        { object: 'os', property: 'uptime', message: CLOCK },
        { object: 'AbortSignal', property: 'timeout', message: CLOCK },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: CLOCK },
      ],
    },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
