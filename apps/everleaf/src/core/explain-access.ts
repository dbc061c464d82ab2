import type { createIam } from '@everleaf/iam'
import type { AccessExplanation, AccessQuestion } from '@everleaf/link'

type Iam = Pick<Awaited<ReturnType<typeof createIam>>, 'explain' | 'explainRefusals'>

/** IAM's word on a question, or on each of the last refusals, in the form in which it crosses to edge. */
export async function explainAccess(
  iam: Iam,
  { question, limit }: { question: AccessQuestion | undefined; limit: number },
): Promise<readonly AccessExplanation[]> {
  if (question !== undefined) return [{ ...(await iam.explain(question)), refused: undefined }]
  return (await iam.explainRefusals(limit)).map(({ allowed, steps, refusal: { at, requestId, ...why } }) => ({
    allowed,
    steps,
    refused: { at, requestId, action: 'question' in why ? why.question.want?.action : undefined },
  }))
}
