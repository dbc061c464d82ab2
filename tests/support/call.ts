/** One call with a token, its body JSON or a text as it is. */
export async function call(
  method: string,
  url: string,
  options: { token?: string | undefined; body?: unknown; headers?: Record<string, string> },
): Promise<{ status: number; text: string; headers: Headers }> {
  const { token, body } = options
  const response = await fetch(url, {
    method,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), 'content-type': 'application/json', ...options.headers },
    ...(method === 'GET' || method === 'HEAD' ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body ?? {}) }),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}
