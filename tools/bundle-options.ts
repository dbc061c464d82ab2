import type { BuildOptions } from 'esbuild'

/** How every file for the Node that Everleaf runs on is bundled. */
export const BUNDLE = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'eof',
  logLevel: 'warning',
} satisfies BuildOptions
