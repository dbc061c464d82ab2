import { type Argument, type Command, type Family, type Flag, findCommand, flagNamed, GLOBAL_FLAGS, isGlobalSwitch, nextWords } from './grammar.ts'

/** Stands for the names of files, which the shell knows better: the scripts below look for it. */
const FILES = ':files'

/** What a shell may offer after these words, of which the last is being typed; `:files` alone: files. */
export function completions(families: readonly Family[], typed: readonly string[]): string[] {
  const words = typed.slice(0, -1).filter((word) => !isGlobalSwitch(word))
  const current = typed.at(-1) ?? ''
  return candidates(families, words, current).filter((word) => word === FILES || word.startsWith(current))
}

function candidates(families: readonly Family[], words: readonly string[], current: string): string[] {
  const bare = families.find(({ name }) => name === '')
  const named = families.find(({ name, synonyms }) => name !== '' && (name === words[0] || synonyms.includes(words[0] ?? '')))
  if (words.length === 0)
    return [...families.flatMap(({ name, synonyms }) => (name === '' ? [] : [name, ...synonyms])), ...(bare ? nextWords(bare, []) : [])].sort()
  const family = named ?? bare
  if (family === undefined) return []
  const below = named === undefined ? words : words.slice(1)
  const found = findCommand(family, below)
  const next = nextWords(family, below)
  if (found === undefined || next.length > 0) return next
  return ofCommand(found.command, below.slice(found.used), current)
}

/** After the words of a command: values of the option or word that is next, its options otherwise. */
function ofCommand(command: Command, words: readonly string[], current: string): string[] {
  const flags = [...(command.flags ?? []), ...GLOBAL_FLAGS]
  const used = new Set<string>()
  let count = 0
  let open: Flag | undefined
  for (const word of words) {
    const flag = open === undefined && word.startsWith('-') ? flagNamed(word, flags) : undefined
    if (flag === undefined && open === undefined) count++
    if (flag !== undefined) used.add(flag.name)
    open = flag?.value !== undefined && !word.includes('=') ? flag : undefined
  }
  if (open !== undefined) return valuesOf(open)
  const argument = command.arguments?.[count]
  const isOffered = ({ name, many, absent }: Flag) => absent === undefined && (many === true || !used.has(name))
  const options = flags.filter(isOffered).map(({ name }) => `--${name}`)
  if (argument === undefined || current.startsWith('-')) return options.sort()
  const offered = valuesOf(argument)
  return argument.optional === true && offered.length === 0 ? options.sort() : offered
}

function valuesOf(of: Flag | Argument): string[] {
  const known = of.offered ?? ('oneOf' in of ? of.oneOf : undefined)
  if (known !== undefined) return [...known]
  const shown = 'value' in of && of.value !== undefined ? of.value : of.name
  return /FILE|FOLDER|DIRECTORY|PATH/.test(shown) ? [FILES] : []
}

/** A script for the shell, which asks this program for its words. */
export function completionScript(shell: 'bash' | 'zsh' | 'fish'): string {
  if (shell === 'fish')
    return [
      'function _ibmcloud_words',
      '  set -l words (commandline -opc) (commandline -ct)',
      '  set -l found (ibmcloud $words[2..-1] --generate-bash-completion)',
      `  if test "$found" = '${FILES}'; __fish_complete_path (commandline -ct); else; printf '%s\\n' $found; end`,
      'end',
      `complete -c ibmcloud -f -a '(_ibmcloud_words)'`,
    ].join('\n')
  // Its own form: in that of bash, zsh finds nothing.
  if (shell === 'zsh')
    return [
      '(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }',
      '_ibmcloud() {',
      '  local -a found',
      '  found=("$' + '{(@f)$(ibmcloud "$' + '{(@)words[2,CURRENT]}" --generate-bash-completion 2>/dev/null)}")',
      `  if [[ $found[1] == ${FILES} ]]; then _files; elif [[ -n $found[1] ]]; then compadd -- $found; fi`,
      '}',
      'compdef _ibmcloud ibmcloud',
    ].join('\n')
  return [
    '_ibmcloud() {',
    "  local IFS=$'\\n'",
    '  COMPREPLY=($(ibmcloud "$' + '{COMP_WORDS[@]:1:COMP_CWORD}" --generate-bash-completion 2>/dev/null))',
    `  if [[ $COMPREPLY == ${FILES} ]]; then COMPREPLY=(); compopt -o default; fi`,
    '}',
    'complete -F _ibmcloud ibmcloud',
  ].join('\n')
}
