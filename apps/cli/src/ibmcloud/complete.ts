import { type Family, findCommand, GLOBAL_FLAGS, nextWords } from './grammar.ts'

/** What a shell may offer after these words, of which the last is being typed. */
export function completions(families: readonly Family[], typed: readonly string[]): string[] {
  const words = typed.slice(0, -1)
  const current = typed.at(-1) ?? ''
  return candidates(families, words).filter((word) => word.startsWith(current))
}

function candidates(families: readonly Family[], words: readonly string[]): string[] {
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
  return [...(found.command.flags ?? []), ...GLOBAL_FLAGS].map(({ name }) => `--${name}`).sort()
}

/** A script for the shell, which asks this program for its words. */
export function completionScript(shell: 'bash' | 'zsh' | 'fish'): string {
  if (shell === 'fish')
    return `complete -c ibmcloud -f -a '(set -l words (commandline -opc) (commandline -ct); ibmcloud $words[2..-1] --generate-bash-completion)'`
  // Its own form: in that of bash, zsh finds nothing.
  if (shell === 'zsh')
    return [
      '(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }',
      '_ibmcloud() {',
      '  local -a found',
      '  found=("$' + '{(@f)$(ibmcloud "$' + '{(@)words[2,CURRENT]}" --generate-bash-completion 2>/dev/null)}")',
      '  if [[ -n $found[1] ]]; then compadd -- $found; else _files; fi',
      '}',
      'compdef _ibmcloud ibmcloud',
    ].join('\n')
  return [
    '_ibmcloud() {',
    "  local IFS=$'\\n'",
    '  COMPREPLY=($(ibmcloud "$' + '{COMP_WORDS[@]:1:COMP_CWORD}" --generate-bash-completion 2>/dev/null))',
    '}',
    'complete -o default -F _ibmcloud ibmcloud',
  ].join('\n')
}
