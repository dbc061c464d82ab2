"""Builds the whole pipeline with IBM's official clients alone, rotates, and reads the replaced secret back.

Endpoints come from the environment that `everleaf env` prints, as the clients read it by themselves. The one thing that no
client of IBM's has is the upload of local source, which is Everleaf's own route.
"""

import gzip
import hashlib
import io
import json
import os
import socket
import ssl
import sys
import tarfile
import time

from ibm_cloud_sdk_core import ApiException
from ibm_code_engine_sdk.code_engine_v2 import (
    CodeEngineV2, ComponentRef, DomainMapping, EnvVarPrototype, Project, Secret, SecretDataGenericSecretData, SecretDataTLSSecretData)
from ibm_platform_services import IamIdentityV1, IamPolicyManagementV1, ResourceControllerV2, ResourceManagerV2
from ibm_platform_services.iam_identity_v1 import CreateProfileLinkRequestLink
from ibm_platform_services.iam_policy_management_v1 import (
    Control, Grant, PolicyResource, PolicyRole, PolicySubject, ResourceAttribute, Roles, SubjectAttribute, V2PolicyResource,
    V2PolicyResourceAttribute, V2PolicySubject, V2PolicySubjectAttribute)
from ibm_secrets_manager_sdk.secrets_manager_v2 import ImportedCertificatePrototype, ImportedCertificateVersionPrototype, SecretsManagerV2
from ibm_eventnotifications.event_notifications_v1 import (
    DestinationConfig, DestinationConfigOneOfCodeEngineDestinationConfig, EventNotificationsV1, Rules, SourcesItems)

given = json.load(sys.stdin)
HOST = 'python.example.com'
TYPE_FILTER = "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'"
NAME_FILTER = "$.data.secrets[0].secret_name == 'sm-cert'"


def wait(what, ask, limit=60):
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise SystemExit(f'{what}: not within {limit} s')


def raises(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as error:
        assert error.status_code == status, f'{error.status_code} {error.message}'
        assert error.message
        return error
    raise SystemExit(f'{call.__name__} was not refused')


# Instances, in the account's default group.
identity = IamIdentityV1.new_instance()
me = identity.get_api_keys_details(iam_api_key=os.environ['IAM_IDENTITY_APIKEY']).get_result()
account = me['account_id']
groups = ResourceManagerV2.new_instance().list_resource_groups(account_id=account, default=True).get_result()['resources']
controller = ResourceControllerV2.new_instance()


def instance(name, service):
    made = controller.create_resource_instance(name=name, target='eu-de', resource_group=groups[0]['id'], resource_plan_id=f'{service}-standard').get_result()
    assert made['id'] == made['crn'] and made['state'] == 'active', made
    return made


sm = instance('python-sm', 'secrets-manager')
en = instance('python-en', 'event-notifications')
throwaway = instance('python-gone', 'event-notifications')
controller.lock_resource_instance(throwaway['guid'])
raises(422, controller.delete_resource_instance, throwaway['id'])
controller.unlock_resource_instance(throwaway['guid'])
controller.delete_resource_instance(throwaway['id'])
assert controller.get_resource_instance(throwaway['id']).get_result()['state'] == 'removed'

secrets = SecretsManagerV2.new_instance()
secrets.set_service_url(os.environ['SECRETS_MANAGER_URL'].rsplit('/', 1)[0] + '/' + sm['guid'])
events = EventNotificationsV1.new_instance()
engine = CodeEngineV2.new_instance()

project = engine.create_project(name='python', tags=['a']).get_result()
Project.from_dict(project)
project = wait('the project', lambda: (lambda p: p if p['status'] == 'active' else None)(engine.get_project(id=project['id']).get_result()))

# Secrets Manager may send, and is registered.
policies = IamPolicyManagementV1.new_instance()
roles = policies.list_roles(service_name='event-notifications', source_service_name='secrets-manager', policy_type='authorization').get_result()
role = next(r for r in roles['service_roles'] if r['display_name'] == 'Event Source Manager')


def attributes(kind, service, guid):
    return [kind(name='accountId', value=account), kind(name='serviceName', value=service), kind(name='serviceInstance', value=guid)]


raises(404, secrets.get_notifications_registration)
policies.create_policy(type='authorization', subjects=[PolicySubject(attributes=attributes(SubjectAttribute, 'secrets-manager', sm['guid']))],
                       resources=[PolicyResource(attributes=attributes(ResourceAttribute, 'event-notifications', en['guid']))], roles=[PolicyRole(role_id=role['crn'])])
listed = policies.list_policies(account_id=account, type='authorization').get_result()['policies']
assert any(a['name'] == 'serviceInstance' and a['value'] == en['guid'] for p in listed for a in p['resources'][0]['attributes'])
secrets.create_notifications_registration(event_notifications_instance_crn=en['crn'], event_notifications_source_name='python-sm')
assert secrets.get_notifications_registration().get_result()['event_notifications_instance_crn'] == en['crn']

# A certificate, in both places.
first, second = given['first'], given['second']
made = secrets.create_secret(secret_prototype=ImportedCertificatePrototype(
    secret_type='imported_cert', name='sm-cert', certificate=first['certificate'], intermediate=first['intermediate'], private_key=first['privateKey'])).get_result()
assert made['versions_total'] == 1 and made['private_key_included'] is True
raises(400, secrets.create_secret, secret_prototype=ImportedCertificatePrototype(
    secret_type='imported_cert', name='sm-cert', certificate=first['certificate'], private_key=first['privateKey']))
tls = engine.create_secret(project_id=project['id'], format='tls', name='ce-cert', data=SecretDataTLSSecretData(
    tls_cert=first['certificate'] + '\n' + first['intermediate'], tls_key=first['privateKey'])).get_result()
Secret.from_dict(tls)


# Apps from local source.
def archive(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode='w') as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue())


def deploy(name, files, **settings):
    engine.create_build(project_id=project['id'], name=name, output_image=f'private/{name}', output_secret='none', strategy_type='buildpacks', source_type='local')
    # Everleaf's own route, by the client's own means.
    source = engine.prepare_request(method='PUT', url=f"/projects/{project['id']}/builds/{name}/source", headers={'content-type': 'application/gzip'}, data=archive(files))
    assert engine.send(source).get_status_code() == 201
    run = engine.create_build_run(project_id=project['id'], build_name=name).get_result()
    wait(f'the build of {name}', lambda: engine.get_build_run(project_id=project['id'], name=run['name']).get_result()['status'] == 'succeeded')
    engine.create_app(project_id=project['id'], image_reference=f'private/{name}', name=name, **settings)

    def ready():
        app = engine.get_app(project_id=project['id'], name=name).get_result()
        assert app['status'] != 'failed', app
        return app if app['status'] == 'ready' else None
    return wait(f'the app {name}', ready)


deploy('site', {'server.js': "require('http').createServer((q, s) => s.end('site')).listen(process.env.PORT)"})
mapping = engine.create_domain_mapping(project_id=project['id'], component=ComponentRef(name='site', resource_type='app_v2'), name=HOST, tls_secret='ce-cert').get_result()
DomainMapping.from_dict(mapping)

# Sync, with a trusted profile that may do just this.
header = 'python-header-value-0123456789'
engine.create_secret(project_id=project['id'], format='generic', name='header', data=SecretDataGenericSecretData(value=header))
profile = identity.create_profile(name='python-sync', account_id=account).get_result()
identity.create_link(profile_id=profile['id'], cr_type='CE', name='sync', link=CreateProfileLinkRequestLink(crn=project['crn'], component_type='application', component_name='sync'))
for service, guid, granted in (
        ('secrets-manager', sm['guid'], 'crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader'),
        ('codeengine', project['id'], 'crn:v1:bluemix:public:iam::::serviceRole:Writer')):
    policies.create_v2_policy(
        type='access', control=Control(grant=Grant(roles=[Roles(role_id=granted)])),
        subject=V2PolicySubject(attributes=[V2PolicySubjectAttribute(key='iam_id', operator='stringEquals', value=profile['iam_id'])]),
        resource=V2PolicyResource(attributes=[V2PolicyResourceAttribute(key=k, operator='stringEquals', value=v) for k, v in
                                              (('accountId', account), ('serviceName', service), ('serviceInstance', guid))]))
gateway = os.environ['EVERLEAF_GATEWAY'].split(':')
renewals = {'version': 1, 'renewals': [{'name': 'python', 'source': {'id': made['id']}, 'target': 'ce-cert',
                                        'probes': [{'host': HOST, 'port': int(gateway[1]), 'connect': os.environ['EVERLEAF_GATEWAY']}]}]}
engine.create_config_map(project_id=project['id'], name='sync-renewals', data={'renewals.json': json.dumps(renewals)})
env = [EnvVarPrototype(type='literal', name=name, value=value) for name, value in (
    ('IAM_PROFILE_NAME', 'python-sync'), ('IAM_URL', given['iamForInstances']), ('SECRETS_MANAGER_URL', given['secretsManagerForInstances'].replace('<guid>', sm['guid'])))]
env.append(EnvVarPrototype(type='secret_key_reference', name='SYNC_HEADER_VALUE', reference='header', key='value'))
sync = deploy('sync', {'sync.js': given['sync'], 'package.json': '{"scripts":{"start":"node sync.js"}}'}, run_compute_resource_token_enabled=True,
              managed_domain_mappings='local_private', scale_max_instances=1, run_env_variables=env)

# The route, with the two filters of IBM's own sample.
topic = events.create_topic(instance_id=en['guid'], name='rotations', description='This is a topic', sources=[
    SourcesItems(id=sm['crn'], rules=[Rules(enabled=True, event_type_filter=TYPE_FILTER, notification_filter=NAME_FILTER)])]).get_result()
destination = events.create_destination(instance_id=en['guid'], name='sync', type='ibmce', description='', config=DestinationConfig(
    params=DestinationConfigOneOfCodeEngineDestinationConfig(type='application', url=sync['endpoint'], verb='post', custom_headers={'Auth-SM-TLS-Sync': header},
                                                             sensitive_headers=['Auth-SM-TLS-Sync'])).to_dict()).get_result()
shown = events.get_destination(instance_id=en['guid'], id=destination['id']).get_result()
assert header not in json.dumps(shown), 'a sensitive header is shown'
events.create_subscription(instance_id=en['guid'], name='sync', destination_id=destination['id'], topic_id=topic['id'])
assert {d['type'] for d in events.list_destinations(instance_id=en['guid']).get_result()['destinations']} >= {'ibmce', 'smtp_ibm', 'sms_ibm'}


# Rotate, and look.
def served():
    context = ssl.create_default_context(cadata=given['root'])
    with socket.create_connection((gateway[0], int(gateway[1])), timeout=10) as raw, context.wrap_socket(raw, server_hostname=HOST) as tls_socket:
        return hashlib.sha256(tls_socket.getpeercert(binary_form=True)).hexdigest()


wait('the first certificate', lambda: served() == first['fingerprint'])
version = secrets.create_secret_version(secret_id=made['id'], secret_version_prototype=ImportedCertificateVersionPrototype(
    certificate=second['certificate'], intermediate=second['intermediate'], private_key=second['privateKey'])).get_result()
assert version['alias'] == 'current'
wait('the new certificate is served', lambda: served() == second['fingerprint'])
replaced = engine.get_secret(project_id=project['id'], name='ce-cert').get_result()
assert second['certificate'].strip() in replaced['data']['tls_cert'] and replaced['data']['tls_key'].strip() == second['privateKey'].strip()

# What is not there yet says so by name.
absent = raises(501, engine.list_functions, project_id=project['id'])
assert 'list_functions' in absent.message, absent.message
raises(404, engine.get_secret, project_id=project['id'], name='nothing')
print(json.dumps({'replaced': True}))
