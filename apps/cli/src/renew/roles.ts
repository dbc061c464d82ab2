/** Roles by their names, as IAM knows them. */
export const ROLE_IDS = {
  Viewer: 'crn:v1:bluemix:public:iam::::role:Viewer',
  Administrator: 'crn:v1:bluemix:public:iam::::role:Administrator',
  Reader: 'crn:v1:bluemix:public:iam::::serviceRole:Reader',
  Writer: 'crn:v1:bluemix:public:iam::::serviceRole:Writer',
  Manager: 'crn:v1:bluemix:public:iam::::serviceRole:Manager',
  'Event Source Manager': 'crn:v1:bluemix:public:event-notifications::::serviceRole:Event-Source-Manager',
  SecretsReader: 'crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader',
} as const

export type Role = keyof typeof ROLE_IDS
