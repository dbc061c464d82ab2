import * as parser from './tools/lint/parser.js'

const outside = (message) => ({ message })
const WORLD = 'Take it from the world (packages/world), or as an argument.'
const call = (object, property, message = WORLD) => ({ selector: `MemberExpression[object.name='${object}'][property.name='${property}']`, message })

/** What only packages/world and main.ts may touch (docs/decisions/0003-one-way-to-the-outside.md). */
const theOutside = [
  call('Date', 'now'),
  call('Math', 'random'),
  call('process', 'env', 'Configuration is read once, in main.ts.'),
  call('process', 'exit', 'Only main.ts ends the process.'),
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: WORLD },
  { selector: "CallExpression[callee.name='randomUUID']", message: WORLD },
]
const never = [
  { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
  { selector: "NewExpression[callee.name='Function']", message: 'No code is made of text.' },
  { selector: 'CatchClause > BlockStatement[body.length=0]:not(:has(*))', message: 'An empty catch needs a sentence of reason in it.' },
]
const globals = Object.fromEntries(
  'AbortController AbortSignal Buffer DOMException Event FormData MessageChannel NodeJS TextDecoder TextEncoder URL URLSearchParams WebSocket clearImmediate clearInterval clearTimeout console fetch globalThis performance process queueMicrotask setImmediate setInterval setTimeout structuredClone Response Request Headers crypto navigator'
    .split(' ')
    .map((name) => [name, 'readonly']),
)

export default [
  { ignores: ['**/node_modules/**', '**/dist/**', '**/generated/**', '**/.venv/**', 'benchmarks/results/**'] },
  {
    files: ['**/*.ts', '**/*.js', 'bin/everleaf', 'bin/ibmcloud'],
    languageOptions: { parser, globals },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'array-callback-return': 'error',
      'constructor-super': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'for-direction': 'error',
      'getter-return': 'error',
      'no-async-promise-executor': 'error',
      'no-class-assign': 'error',
      'no-compare-neg-zero': 'error',
      'no-cond-assign': 'error',
      'no-const-assign': 'error',
      'no-constant-binary-expression': 'error',
      'no-debugger': 'error',
      'no-dupe-class-members': 'error',
      'no-dupe-else-if': 'error',
      'no-dupe-keys': 'error',
      'no-duplicate-case': 'error',
      'no-eval': 'error',
      'no-fallthrough': 'error',
      'no-implied-eval': 'error',
      'no-loss-of-precision': 'error',
      'no-new-func': 'error',
      'no-promise-executor-return': 'off',
      'no-prototype-builtins': 'error',
      'no-self-assign': 'error',
      'no-self-compare': 'error',
      'no-sparse-arrays': 'error',
      'no-template-curly-in-string': 'error',
      'no-throw-literal': 'error',
      'no-undef': 'error',
      'no-unmodified-loop-condition': 'off',
      'no-unreachable': 'error',
      'no-unreachable-loop': 'off',
      'no-unsafe-finally': 'error',
      'no-unsafe-optional-chaining': 'error',
      'no-unused-labels': 'error',
      'no-useless-catch': 'error',
      'no-useless-rename': 'error',
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'prefer-object-has-own': 'error',
      'prefer-rest-params': 'error',
      'prefer-spread': 'error',
      'use-isnan': 'error',
      'valid-typeof': 'error',
      'no-restricted-syntax': ['error', ...never],
    },
  },
  {
    files: ['packages/*/src/**/*.ts', 'services/*/src/**/*.ts', 'runtime/*/src/**/*.ts', 'apps/*/src/**/*.ts'],
    ignores: ['packages/world/src/**', '**/main.ts', '**/*.test.ts', '**/exam.ts', 'runtime/engine-local/src/spawner.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-globals': [
        'error',
        { name: 'fetch', ...outside("Use the world's http.") },
        { name: 'WebSocket', ...outside('The platform carries them and opens none.') },
        { name: 'setTimeout', ...outside("Use the world's after or sleep.") },
        { name: 'setInterval', ...outside("Use the world's after.") },
      ],
      'no-restricted-syntax': ['error', ...never, ...theOutside],
    },
  },
  // CommonJS: modules of the newer kind start a loader of their own.
  { files: ['bin/*.js', 'bin/everleaf', 'bin/ibmcloud'], languageOptions: { globals: { require: 'readonly', module: 'readonly', __dirname: 'readonly' } } },
  { files: ['eslint.config.js', 'tools/**/*.js'], rules: { 'no-restricted-syntax': 'off' } },
]
