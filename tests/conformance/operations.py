"""Writes generated/operations.json: the operations of IBM's published APIs, read from the official Python clients."""

import inspect
import json
import pathlib
import re

import ibm_botocore.session
from ibm_code_engine_sdk import code_engine_v2
from ibm_eventnotifications import event_notifications_v1
from ibm_platform_services import iam_identity_v1, iam_policy_management_v1, resource_controller_v2, resource_manager_v2
from ibm_secrets_manager_sdk import secrets_manager_v2

MODULES = {
    'code-engine': (code_engine_v2, 'CodeEngineV2'),
    'event-notifications': (event_notifications_v1, 'EventNotificationsV1'),
    'iam-identity': (iam_identity_v1, 'IamIdentityV1'),
    'iam-policies': (iam_policy_management_v1, 'IamPolicyManagementV1'),
    'resource-controller': (resource_controller_v2, 'ResourceControllerV2'),
    'resource-manager': (resource_manager_v2, 'ResourceManagerV2'),
    'secrets-manager': (secrets_manager_v2, 'SecretsManagerV2'),
}
found = {}
for api, (module, name) in MODULES.items():
    rows = []
    for method, function in inspect.getmembers(getattr(module, name), inspect.isfunction):
        source = inspect.getsource(function)
        verb = re.search(r"method='([A-Z]+)'", source)
        url = re.search(r"url = '([^']+)'", source)
        if verb and url and not method.startswith('_'):
            rows.append({'operation': method, 'method': verb.group(1), 'path': url.group(1)})
    found[api] = sorted(rows, key=lambda row: (row['path'], row['method']))

# Object Storage has a model, in which operations of one path differ by names in the query.
model = ibm_botocore.session.get_session().get_service_model('s3')
rows = []
for name in model.operation_names:
    operation = model.operation_model(name)
    path, _, query = operation.http['requestUri'].replace('{Key+}', '*').partition('?')
    names = [part.partition('=')[0] for part in query.split('&') if part]
    shape = operation.input_shape
    required = [shape.members[member].serialization for member in shape.required_members] if shape else []
    names += [each['name'] for each in required if each.get('location') == 'querystring']
    rows.append({'operation': name, 'method': operation.http['method'], 'path': path, **({'query': names} if names else {})})
found['object-storage'] = sorted(rows, key=lambda row: (row['path'], row['method'], row['operation']))
found = dict(sorted(found.items()))

target = pathlib.Path(__file__).parent / 'generated' / 'operations.json'
target.parent.mkdir(exist_ok=True)
target.write_text(json.dumps({'made_by': 'tests/conformance/operations.py from the clients of requirements.txt', 'apis': found}, indent=1) + '\n')
