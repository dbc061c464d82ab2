import type { Found } from './home.ts'

/** What every official client needs to find the platform, as one flat object of strings: `everleaf env --json`. */
export function endpoints({ ports, login, caFile, trustFile }: Found): Record<string, string> {
  const base = `http://127.0.0.1:${ports.api}`
  const iam = `${base}/iam`
  const controller = `${base}/resource-controller`
  const urls = {
    IAM_IDENTITY: iam,
    IAM_POLICY_MANAGEMENT: iam,
    RESOURCE_CONTROLLER: controller,
    RESOURCE_MANAGER: controller,
    SECRETS_MANAGER: `${base}/secrets-manager/${login.secretsManager}`,
    EVENT_NOTIFICATIONS: `${base}/event-notifications`,
    CODE_ENGINE: `${base}/codeengine/v2`,
  }
  const services = Object.entries(urls).flatMap(([name, url]) => [
    [`${name}_URL`, url],
    [`${name}_AUTH_TYPE`, 'iam'],
    [`${name}_AUTH_URL`, iam],
    [`${name}_APIKEY`, login.apikey],
  ])
  return {
    IBMCLOUD_API_KEY: login.apikey,
    IBMCLOUD_IAM_API_ENDPOINT: iam,
    IAM_AUTH_URL: iam,
    ...Object.fromEntries(services),
    COS_ENDPOINT: `${base}/object-storage`,
    EVENT_NOTIFICATIONS_GUID: login.eventNotifications,
    CODE_ENGINE_PROJECT_ID: login.project,
    SSL_CERT_FILE: trustFile,
    REQUESTS_CA_BUNDLE: trustFile,
    // curl looks here first; where a machine has it set already, SSL_CERT_FILE alone is not seen.
    CURL_CA_BUNDLE: trustFile,
    NODE_EXTRA_CA_CERTS: caFile,
    EVERLEAF_GATEWAY: `127.0.0.1:${ports.public}`,
  }
}
