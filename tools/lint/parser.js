// ESLint's own parser over code whose types Node has blanked out: positions stay, and no TypeScript API is needed (version 7 has none).
import { stripTypeScriptTypes } from 'node:module'
import * as espree from 'espree'

export const meta = { name: 'everleaf-strip-types', version: '1' }

export function parse(code, options) {
  return espree.parse(stripTypeScriptTypes(code, { mode: 'strip' }), {
    ...options,
    ecmaVersion: 'latest',
    sourceType: 'module',
    loc: true,
    range: true,
    tokens: true,
    comment: true,
  })
}
