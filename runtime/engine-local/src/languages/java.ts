import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { BuildFailed } from '@everleaf/engine'
import { SHIELDED_SOURCE } from '../tools.ts'
import { commandOf, type Detected, type Source, webLine, type Workbench } from './language.ts'

/** How a source for Java runs, by its pom.xml: the runnable jar that `mvn package` makes; undefined when it is none. */
export function detectJava(source: Source): Detected | undefined {
  if (!source.names.has('pom.xml')) {
    if (['build.gradle', 'build.gradle.kts'].some((name) => source.names.has(name)))
      throw new BuildFailed('failed', 'Java is built by Maven here, and this source has a Gradle build: add a pom.xml.')
    return undefined
  }
  const web = webLine(source)
  return {
    language: 'java',
    command: web === undefined ? [] : commandOf(web, 'java'),
    env: {},
    dependencies: 'locked',
    prepare: async (work) => {
      const jar = await pack(work)
      return web === undefined ? ['java', '-jar', jar] : undefined
    },
  }
}

async function pack({ folder, run, program, log }: Workbench): Promise<string> {
  program('java', 'install a Java runtime (Debian: default-jdk-headless)')
  log('mvn package')
  await run({
    file: 'mvn',
    args: ['--batch-mode', '--quiet', '--file', 'pom.xml', '-DskipTests', '-Dmaven.test.skip=true', 'package'],
    env: { PWD: SHIELDED_SOURCE },
    shielded: true,
    install: 'install Maven (Debian: maven default-jdk-headless).',
  })
  const jars = filesIn(join(folder, 'target')).filter((name) => name.endsWith('.jar') && !/^original-|-(sources|javadoc|tests)\.jar$/.test(name))
  // A jar with its dependencies inside is the one to run where a build makes both.
  const whole = jars.filter((name) => /(-with-dependencies|-all|-shaded|-fat|-exec)\.jar$/.test(name))
  const [only, ...more] = whole.length > 0 ? whole : jars
  if (only === undefined || more.length > 0)
    throw new BuildFailed(
      'failed',
      `mvn package made ${jars.length === 0 ? 'no jar' : `several jars (${jars.join(', ')})`} in target/: have it make one that runs by itself, or say what to run in a Procfile.`,
    )
  return `target/${only}`
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
