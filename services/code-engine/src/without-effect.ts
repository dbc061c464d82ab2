type Body = Readonly<Record<string, unknown>>
type Member = { readonly why: string; /** Values that say nothing: what would happen without the member. */ readonly neutral: readonly unknown[] }

/** Members of apps, jobs and job runs that are kept and shown, and change nothing here. */
export const RUN_MEMBERS: Readonly<Record<string, Member>> = {
  image_secret: { why: 'images are built and kept on this machine: nothing is pulled from a registry', neutral: [null, ''] },
  run_as_user: { why: 'the platform gives each component a user of its own', neutral: [null, 0] },
  scale_cpu_limit: { why: 'instances share the processors of this machine without limits', neutral: [null] },
  scale_ephemeral_storage_limit: { why: 'instances share the disk of this machine without limits', neutral: [null] },
}

/** The same for builds and build runs. */
export const BUILD_MEMBERS: Readonly<Record<string, Member>> = {
  output_secret: { why: 'what is built stays on this machine: nothing is pushed to a registry', neutral: [null, ''] },
  run_build_params: { why: 'languages’ own tools build, and take no parameters of a build strategy', neutral: [null] },
  strategy_size: { why: 'a build has the whole machine', neutral: [null] },
  strategy_spec_file: { why: 'there is no Dockerfile build', neutral: [null] },
}

/** Names of the members that were given and change nothing, for the header `Everleaf-Ignored`. */
export function withoutEffect(members: Readonly<Record<string, Member>>): (body: unknown) => readonly string[] {
  return (body) =>
    Object.entries(members)
      .filter(([name, { neutral }]) => {
        const value = (body as Body)[name]
        return value !== undefined && !neutral.includes(value) && !(Array.isArray(value) && value.length === 0)
      })
      .map(([name]) => name)
}
