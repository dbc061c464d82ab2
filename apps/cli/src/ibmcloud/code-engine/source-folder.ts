import { statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { Failed, WrongUse } from '../wrong-use.ts'

/** The folder of this machine that is built. Throws WrongUse where `contextDir` leads out of the source, Failed where there is no such folder. */
export function sourceFolder({ source, contextDir = '', option }: { source: string; contextDir: string | undefined; option: string }): string {
  const folder = join(source, contextDir)
  const inside = relative(source, folder)
  if (inside === '..' || inside.startsWith(`..${sep}`))
    throw new WrongUse(`${contextDir} leads out of the source: the folder that is built is one of ${source}.`)
  const found = statSync(folder, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) {
    const problem = found === undefined ? `There is no folder ${folder}.` : `${folder} is no folder.`
    throw new Failed(`${problem}\nGive --${option} a folder of this machine, or a repository: https://HOST/PATH.`)
  }
  return folder
}
