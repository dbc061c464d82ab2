import { BuildFailed } from '@everleaf/engine'
import { detectGo, detectLoneGo } from './languages/go.ts'
import { detectJava } from './languages/java.ts'
import type { Detected, Source } from './languages/language.ts'
import { detectNode } from './languages/node.ts'
import { detectPython } from './languages/python.ts'

const OTHERS: Readonly<Record<string, string>> = {
  'Cargo.toml': 'Rust',
  Gemfile: 'Ruby',
  'composer.json': 'PHP',
  Dockerfile: 'a Dockerfile',
}

/**
 * Decides how a source runs, by the first of these that is there: go.mod, pom.xml, package.json, requirements.txt, then by the file or
 * Procfile that starts it, then a program in Go without go.mod. Throws BuildFailed naming what is supported.
 */
export function detect(source: Source): Detected {
  const byManifest = source.names.has('package.json') ? detectNode(source) : undefined
  const found = detectGo(source) ?? detectJava(source) ?? byManifest ?? (source.names.has('requirements.txt') ? detectPython(source) : undefined)
  const detected = found ?? detectNode(source) ?? detectPython(source) ?? detectLoneGo(source)
  if (detected === undefined) throw new BuildFailed('failed', unsupported(source.names))
  return detected
}

function unsupported(names: ReadonlySet<string>): string {
  const other = Object.keys(OTHERS).find((name) => names.has(name))
  const found = other ? `This looks like ${OTHERS[other]} (${other}), which this engine cannot build` : 'Nothing says what this source is'
  return `${found}: supported are Node (package.json, server.js), Python (requirements.txt, app.py), Go (go.mod, or one program of the standard library) and Java (pom.xml), or a Procfile with "web: …" for them.`
}
