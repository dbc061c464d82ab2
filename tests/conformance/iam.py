"""The platform services SDK's own integration runs of IAM: identities, policies of both versions, roles, authorizations."""

import base64
import json
import os
import time

import requests
from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import BearerTokenAuthenticator, IAMAuthenticator
from ibm_platform_services import IamIdentityV1
from ibm_platform_services import iam_identity_v1 as idm
from ibm_platform_services import iam_policy_management_v1 as pm

from cases import absent, case, equal, refused, run_cases, whole
from clients import account, identity, policies

AUTH_URL = os.environ["IAM_AUTH_URL"]
OTHER_GUID = "651fd1c0-0c4c-44cd-b79b-7447e66a5fc9"
READER = "crn:v1:bluemix:public:iam::::serviceRole:Reader"
VIEWER = "crn:v1:bluemix:public:iam::::role:Viewer"
EDITOR = "crn:v1:bluemix:public:iam::::role:Editor"
made = {}


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def tokens_of(list_page, items, **query):
    """Follows `next` as the SDK's users do: an URL as text, with a pagetoken."""
    found, token = [], None
    while True:
        page = list_page(**query, **({} if token is None else {"pagetoken": token})).get_result()
        found.extend(page[items])
        if "next" not in page:
            return found
        token = requests.utils.unquote(page["next"].split("pagetoken=")[1].split("&")[0])


@case("the token has what clients read of it: numeric exp and iat, account.bss, an expiration in seconds")
def token():
    answer = requests.post(
        f"{AUTH_URL}/identity/token",
        data={"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": os.environ["IBMCLOUD_API_KEY"], "response_type": "cloud_iam", "unknown": ""},
        auth=("bx", "bx"),
        timeout=10,
    )
    equal(answer.status_code, 200)
    document = answer.json()
    inside = claims(document["access_token"])
    equal((document["token_type"], document["expires_in"], document["expiration"]), ("Bearer", 3600, inside["exp"]))
    assert isinstance(inside["iat"], int) and abs(inside["iat"] - time.time()) < 60, inside
    equal(inside["account"]["bss"], account)
    keys = requests.get(f"{AUTH_URL}/identity/keys", timeout=10).json()["keys"]
    head = json.loads(base64.urlsafe_b64decode(document["access_token"].split(".")[0] + "=="))
    equal([key["alg"] for key in keys if key["kid"] == head["kid"]], ["RS256"])


@case("a wrong API key is refused with IBM's code, and the SDK shows the text")
def wrong_key():
    client = IamIdentityV1(authenticator=IAMAuthenticator("no-such-key-0123456789012345678901234567", url=AUTH_URL))
    client.set_service_url(AUTH_URL)
    error = refused(400, client.list_api_keys, says="")
    equal(error.http_response.json()["errorCode"], "BXNIM0415E")
    equal(error.message, error.http_response.json()["errorMessage"])


@case("service IDs: create, get, list with a pager, update under If-Match, lock, unlock, delete")
def service_ids():
    created = whole(idm.ServiceId, identity.create_service_id(account_id=account, name="Python-SDK-IT-ServiceId", description="ServiceID"), 201)
    made["service_id"] = created["id"]
    read = identity.get_service_id(id=made["service_id"], include_history=True)
    document = whole(idm.ServiceId, read, 200)
    equal(read.get_headers()["ETag"], document["entity_tag"])
    equal(document["iam_id"], f"iam-{document['id']}")
    for number in range(3):
        identity.create_service_id(account_id=account, name=f"page-{number}")
    whole(idm.ServiceIdList, identity.list_service_ids(account_id=account, pagesize=100), 200)
    listed = tokens_of(identity.list_service_ids, "serviceids", account_id=account, pagesize=1)
    equal(len(listed), len({one["id"] for one in listed}))
    assert made["service_id"] in {one["id"] for one in listed}, listed
    named = identity.list_service_ids(account_id=account, name="Python-SDK-IT-ServiceId").get_result()["serviceids"]
    equal([one["id"] for one in named], [made["service_id"]])
    updated = identity.update_service_id(id=made["service_id"], if_match=document["entity_tag"], description="Updated")
    assert whole(idm.ServiceId, updated, 200)["entity_tag"] != document["entity_tag"]
    refused(409, identity.update_service_id, id=made["service_id"], if_match=document["entity_tag"], description="Stale")
    equal(identity.lock_service_id(id=made["service_id"]).get_status_code(), 204)
    equal(identity.get_service_id(id=made["service_id"]).get_result()["locked"], True)
    try:
        identity.delete_service_id(id=made["service_id"])
        raise AssertionError("a locked service ID was deleted")
    except ApiException as error:
        assert error.message, error
    equal(identity.unlock_service_id(id=made["service_id"]).get_status_code(), 204)


@case("API keys: create for the service ID, details by value, get, list, update, disable, enable, lock, unlock, delete")
def api_keys():
    iam_id = f"iam-{made['service_id']}"
    created = whole(idm.ApiKey, identity.create_api_key(name="Python-SDK-IT-ApiKey", iam_id=iam_id, description="key", account_id=account), 201)
    key, value = created["id"], created["apikey"]
    assert len(value) >= 32, "a short key"
    details = whole(idm.ApiKey, identity.get_api_keys_details(iam_api_key=value), 200)
    equal((details["id"], details["iam_id"]), (key, iam_id))
    read = identity.get_api_key(id=key, include_history=True)
    document = whole(idm.ApiKey, read, 200)
    equal((read.get_headers()["ETag"], document.get("apikey", "") == value), (document["entity_tag"], False))
    whole(idm.ApiKeyList, identity.list_api_keys(account_id=account, iam_id=iam_id, pagesize=10), 200)
    equal([one["id"] for one in tokens_of(identity.list_api_keys, "apikeys", account_id=account, iam_id=iam_id, pagesize=1)], [key])
    whole(idm.ApiKey, identity.update_api_key(id=key, if_match=document["entity_tag"], description="Updated"), 200)
    whole(idm.ApiKey, identity.update_api_key(id=key, if_match="*", description="Updated again"), 200)
    authenticator = IAMAuthenticator(value, url=AUTH_URL)
    equal(claims(authenticator.token_manager.get_token())["iam_id"], iam_id)
    equal(identity.disable_api_key(id=key).get_status_code(), 204)
    try:
        IAMAuthenticator(value, url=AUTH_URL).token_manager.get_token()
        raise AssertionError("a disabled key gave a token")
    except ApiException as error:
        equal(error.status_code, 400)
    equal(identity.enable_api_key(id=key).get_status_code(), 204)
    equal(identity.lock_api_key(id=key).get_status_code(), 204)
    equal(identity.unlock_api_key(id=key).get_status_code(), 204)
    equal(identity.delete_api_key(id=key).get_status_code(), 204)
    refused(404, identity.get_api_key, id=key)


@case("trusted profiles: create, get, list by exact name, update")
def profiles():
    created = whole(idm.TrustedProfile, identity.create_profile(name="Python-SDK-IT-Profile", account_id=account, description="profile"), 201)
    made["profile"] = created["id"]
    equal((created["iam_id"], created["crn"].split(":")[-2:]), (f"iam-{created['id']}", ["profile", created["id"]]))
    read = identity.get_profile(profile_id=made["profile"])
    document = whole(idm.TrustedProfile, read, 200)
    equal(read.get_headers()["ETag"], document["entity_tag"])
    listed = whole(idm.TrustedProfilesList, identity.list_profiles(account_id=account, name="Python-SDK-IT-Profile"), 200)
    equal([one["id"] for one in listed["profiles"]], [made["profile"]])
    identity.create_profile(name="Python-SDK-IT-Profile-2", account_id=account)
    equal(len(tokens_of(identity.list_profiles, "profiles", account_id=account, pagesize=1)) >= 2, True)
    updated = identity.update_profile(profile_id=made["profile"], if_match=document["entity_tag"], description="updated")
    equal(whole(idm.TrustedProfile, updated, 200)["description"], "updated")
    refused(409, identity.create_profile, name="Python-SDK-IT-Profile", account_id=account)


@case("claim rules of both types: create, get, list, update, delete")
def claim_rules():
    at = {"profile_id": made["profile"]}
    saml = {"type": "Profile-SAML", "realm_name": "https://sdk.test.realm/1234", "expiration": 43200}
    conditions = [{"claim": "blueGroups", "operator": "EQUALS", "value": '"cloud-docs-dev"'}]
    rule = whole(idm.ProfileClaimRule, identity.create_claim_rule(**at, conditions=conditions, **saml), 201)
    equal(rule["conditions"], conditions)
    compute = [{"claim": "blueGroups", "operator": "EQUALS", "value": '"cloud-docs-dev"'}]
    second = whole(idm.ProfileClaimRule, identity.create_claim_rule(**at, type="Profile-CR", cr_type="IKS_SA", conditions=compute), 201)
    read = identity.get_claim_rule(**at, rule_id=rule["id"])
    whole(idm.ProfileClaimRule, read, 200)
    equal(len(whole(idm.ProfileClaimRuleList, identity.list_claim_rules(**at), 200)["rules"]), 2)
    conditions[0]["value"] = '"Europe_Group"'
    tag = read.get_headers()["ETag"]
    equal(whole(idm.ProfileClaimRule, identity.update_claim_rule(**at, rule_id=rule["id"], if_match=tag, conditions=conditions, **saml), 200)["conditions"], conditions)
    for one in (rule, second):
        equal(identity.delete_claim_rule(**at, rule_id=one["id"]).get_status_code(), 204)
    refused(404, identity.get_claim_rule, **at, rule_id=rule["id"])


@case("links of both kinds, with a component type nobody knows: create, get, list, delete by id and by parameters")
def links():
    at = {"profile_id": made["profile"]}
    crn = f"crn:v1:staging:public:iam-identity::a/{account}::computeresource:Fake-Compute-Resource"
    code_engine = {"crn": crn, "component_name": "test_component_name", "component_type": "test_component_type"}
    kubernetes = {"crn": crn, "namespace": "default", "name": "nice name"}
    first = whole(idm.ProfileLink, identity.create_link(**at, name="Nice link", cr_type="CE", link=code_engine), 201)
    second = whole(idm.ProfileLink, identity.create_link(**at, name="Other link", cr_type="ROKS_SA", link=kubernetes), 201)
    equal(first["link"], code_engine)
    whole(idm.ProfileLink, identity.get_link(**at, link_id=first["id"]), 200)
    equal(len(whole(idm.ProfileLinkList, identity.list_links(**at), 200)["links"]), 2)
    equal(identity.delete_link(**at, link_id=second["id"]).get_status_code(), 204)
    equal(identity.delete_link_by_parameters(**at, type="CE", **code_engine).get_status_code(), 204)
    refused(404, identity.get_link, **at, link_id=first["id"])


@case("account settings: the tag of the header is the tag of the document")
def settings():
    response = identity.get_account_settings(account_id=account)
    equal(whole(idm.AccountSettingsResponse, response, 200)["entity_tag"], response.get_headers()["ETag"])


def attributes(named):
    return [{"name": name, "value": value} for name, value in named.items()]


@case("policies v1: word for word; If-Match; state; list, pager, delete and restore")
def policies_v1():
    subjects = [{"attributes": [{"name": "iam_id", "value": f"iam-{made['service_id']}"}]}]
    resources = [{"attributes": [{"name": "accountId", "value": account, "operator": "stringEquals"}, {"name": "serviceType", "value": "service", "operator": "stringEquals"}]}]
    body = {"type": "access", "subjects": subjects, "resources": resources}
    policy = whole(pm.Policy, policies.create_policy(**body, roles=[{"role_id": VIEWER}], description="a policy"), 201)
    equal((policy["subjects"], policy["resources"], [role["role_id"] for role in policy["roles"]]), (subjects, resources, [VIEWER]))
    read = policies.get_policy(policy_id=policy["id"])
    whole(pm.Policy, read, 200)
    tag = read.get_headers()["ETag"]
    replaced = policies.replace_policy(policy_id=policy["id"], if_match=tag, **body, roles=[{"role_id": VIEWER}, {"role_id": EDITOR}])
    equal([role["role_id"] for role in whole(pm.Policy, replaced, 200)["roles"]], [VIEWER, EDITOR])
    refused(409, policies.replace_policy, policy_id=policy["id"], if_match=tag, **body, roles=[{"role_id": VIEWER}])
    refused(409, policies.create_policy, **body, roles=[{"role_id": VIEWER}, {"role_id": EDITOR}])
    listed = whole(pm.PolicyCollection, policies.list_policies(account_id=account, iam_id=f"iam-{made['service_id']}"), 200)["policies"]
    equal([one["id"] for one in listed], [policy["id"]])
    assert policy["id"] in {one["id"] for one in pm.PoliciesPager(client=policies, account_id=account, limit=1).get_all()}
    equal(policies.delete_policy(policy_id=policy["id"]).get_status_code(), 204)
    gone = policies.get_policy(policy_id=policy["id"])
    equal(whole(pm.Policy, gone, 200)["state"], "deleted")
    restored = policies.update_policy_state(policy_id=policy["id"], if_match=gone.get_headers()["ETag"], state="active")
    equal(whole(pm.Policy, restored, 200)["state"], "active")
    made["policy"] = policy["id"]


@case("policies v2: a v1 policy is seen through v2; made, read, replaced, listed, paged, deleted")
def policies_v2():
    seen = whole(pm.V2PolicyTemplateMetaData, policies.get_v2_policy(id=made["policy"]), 200)
    equal(seen["control"]["grant"]["roles"][0]["role_id"], VIEWER)
    subject = {"attributes": [{"key": "iam_id", "operator": "stringEquals", "value": f"iam-{made['service_id']}"}]}
    resource = {"attributes": [{"key": key, "operator": "stringEquals", "value": value} for key, value in {"accountId": account, "serviceName": "secrets-manager"}.items()]}
    body = {"type": "access", "subject": subject, "resource": resource}
    policy = whole(pm.V2Policy, policies.create_v2_policy(control={"grant": {"roles": [{"role_id": READER}]}}, **body), 201)
    equal((policy["subject"], policy["resource"]), (subject, resource))
    read = policies.get_v2_policy(id=policy["id"])
    tag = read.get_headers()["ETag"]
    control = {"grant": {"roles": [{"role_id": READER}, {"role_id": VIEWER}]}}
    whole(pm.V2Policy, policies.replace_v2_policy(id=policy["id"], if_match=tag, control=control, **body), 200)
    refused(409, policies.replace_v2_policy, id=policy["id"], if_match=tag, control=control, **body)
    whole(pm.V2PolicyCollection, policies.list_v2_policies(account_id=account, iam_id=f"iam-{made['service_id']}"), 200)
    assert policy["id"] in {one["id"] for one in pm.V2PoliciesPager(client=policies, account_id=account, limit=1).get_all()}
    assert policy["id"] in {one["id"] for one in policies.list_policies(account_id=account).get_result()["policies"]}
    for one in (policy["id"], made["policy"]):
        equal(policies.delete_v2_policy(id=one).get_status_code(), 204)


@case("an authorization between two services: through v1 and v2 alike, each seen word for word through its own version")
def authorizations():
    asked = {"service_name": "event-notifications", "source_service_name": "secrets-manager", "policy_type": "authorization"}
    found = policies.list_roles(**asked).get_result()["service_roles"]
    role = [{"role_id": next(one["crn"] for one in found if one["display_name"] == "Event Source Manager")}]
    source = {"accountId": account, "serviceName": "secrets-manager", "serviceInstance": os.environ["SECRETS_MANAGER_URL"].rsplit("/", 1)[1]}
    target = {"accountId": account, "serviceName": "event-notifications", "serviceInstance": os.environ["EVENT_NOTIFICATIONS_GUID"]}
    subjects, resources = [{"attributes": attributes(source)}], [{"attributes": attributes(target)}]
    first = whole(pm.Policy, policies.create_policy(type="authorization", subjects=subjects, roles=role, resources=resources), 201)
    equal((first["subjects"], first["resources"]), (subjects, resources))
    listed = whole(pm.PolicyCollection, policies.list_policies(account_id=account, type="authorization"), 200)["policies"]
    assert first["id"] in [one["id"] for one in listed], listed
    equal(policies.delete_policy(policy_id=first["id"]).get_status_code(), 204)
    subject, resource = ({"attributes": [{"key": key, "operator": "stringEquals", "value": value} for key, value in side.items()]} for side in (source, target))
    response = policies.create_v2_policy(control={"grant": {"roles": role}}, type="authorization", subject=subject, resource=resource)
    second = whole(pm.V2Policy, response, 201)
    equal((second["subject"], second["resource"]), (subject, resource))
    equal(whole(pm.Policy, policies.get_policy(policy_id=second["id"]), 200)["type"], "authorization")
    equal(policies.delete_v2_policy(id=second["id"]).get_status_code(), 204)


@case("roles: those of a service, those for an authorization without an account; what is custom answers 501")
def roles():
    found = whole(pm.RoleCollection, policies.list_roles(account_id=account, service_name="secrets-manager"), 200)
    equal({READER, "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader"} - {role["crn"] for role in found["service_roles"]}, set())
    equal({VIEWER, EDITOR} - {role["crn"] for role in found["system_roles"]}, set())
    asked = {"service_name": "event-notifications", "source_service_name": "secrets-manager", "policy_type": "authorization"}
    names = [role["display_name"] for role in whole(pm.RoleCollection, policies.list_roles(**asked), 200)["service_roles"]]
    assert "Event Source Manager" in names, names
    role = {"display_name": "Mine", "actions": ["iam-groups.groups.read"], "name": "Mine", "account_id": account, "service_name": "iam-groups"}
    absent("create_role", policies.create_role, **role)


@case("a policy counts at once: a service ID reads what its role lets it, nothing else, and nothing after the policy is gone")
def decisions():
    key = identity.create_api_key(name="decisions", iam_id=f"iam-{made['service_id']}", account_id=account).get_result()["apikey"]
    client = IamIdentityV1(authenticator=IAMAuthenticator(key, url=AUTH_URL))
    client.set_service_url(AUTH_URL)
    refused(403, client.list_service_ids, account_id=account)
    subjects = [{"attributes": [{"name": "iam_id", "value": f"iam-{made['service_id']}"}]}]
    resources = [{"attributes": attributes({"accountId": account, "serviceName": "iam-identity"})}]
    policy = policies.create_policy(type="access", subjects=subjects, resources=resources, roles=[{"role_id": VIEWER}]).get_result()
    equal(client.list_service_ids(account_id=account).get_status_code(), 200)
    refused(403, client.create_service_id, account_id=account, name="not allowed")
    policies.delete_policy(policy_id=policy["id"])
    refused(403, client.list_service_ids, account_id=account)


@case("what cannot be is refused with a reason the SDK can show")
def refusals():
    refused(404, identity.get_service_id, id="ServiceId-00000000-0000-4000-8000-000000000000")
    refused(404, identity.get_profile, profile_id="Profile-00000000-0000-4000-8000-000000000000")
    refused(404, policies.get_policy, policy_id=OTHER_GUID)
    subjects = [{"attributes": [{"name": "iam_id", "value": f"iam-{made['service_id']}"}]}]
    resources = [{"attributes": attributes({"accountId": account, "serviceName": "secrets-manager"})}]
    refused(400, policies.create_policy, type="access", subjects=subjects, resources=resources, roles=[{"role_id": READER + "s"}])
    refused(400, policies.create_policy, type="access", subjects=subjects, resources=resources, roles=[])
    client = IamIdentityV1(authenticator=BearerTokenAuthenticator("no.such.token"))
    client.set_service_url(AUTH_URL)
    refused(401, client.list_api_keys, account_id=account)


@case("what is not here answers 501 and names the operation")
def what_is_absent():
    absent("list_service_id_group", identity.list_service_id_group, account_id=account)
    absent("get_profile_identities", identity.get_profile_identities, profile_id=made["profile"])
    absent("update_account_settings", identity.update_account_settings, if_match="*", account_id=account, mfa="NONE")
    absent("get_effective_account_settings", identity.get_effective_account_settings, account_id=account)
    absent("create_report", identity.create_report, account_id=account)
    absent("list_profile_templates", identity.list_profile_templates, account_id=account)
    absent("get_mfa_report", identity.get_mfa_report, account_id=account, reference="latest")
    absent("list_policy_templates", policies.list_policy_templates, account_id=account)
    absent("get_settings", policies.get_settings, account_id=account)


@case("profile and service ID are deleted: 204, then 404")
def delete():
    equal(identity.delete_profile(profile_id=made["profile"]).get_status_code(), 204)
    refused(404, identity.get_profile, profile_id=made["profile"])
    equal(identity.delete_service_id(id=made["service_id"]).get_status_code(), 204)
    refused(404, identity.get_service_id, id=made["service_id"])


run_cases()
