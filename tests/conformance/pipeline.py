"""The whole pipeline from nothing, with the official clients and the plain endpoints of the environment; one rotation, proven by a TLS client.

Usage: pipeline.py <folder with sync's distribution> <folder with a site>
"""

import hashlib
import io
import json
import os
import secrets as chance
import socket
import ssl
import sys
import tarfile
import tempfile

import requests
from ibm_code_engine_sdk import code_engine_v2 as ce
from ibm_eventnotifications import event_notifications_v1 as en
from ibm_platform_services import iam_identity_v1 as idm
from ibm_platform_services import iam_policy_management_v1 as pm
from ibm_platform_services import resource_controller_v2 as rc
from ibm_secrets_manager_sdk import secrets_manager_v2 as sm

from cases import case, equal, eventually, run_cases, whole
from certificates import make_authority, make_leaf
from clients import account, code_engine, controller, default_group, event_notifications, identity, policies, secrets_manager_of

SYNC_FOLDER, SITE_FOLDER = sys.argv[1:3]
HOST = "shop.example.com"
SECRET = "shop-certificate"
TLS_SECRET = "shop-tls"
HEADER = "Auth-SM-TLS-Sync"
PROFILE = "sync-of-the-shop"
ROTATED = "com.ibm.cloud.secrets-manager.secret_rotated"
gateway_host, gateway_port = os.environ["EVERLEAF_GATEWAY"].rsplit(":", 1)
folder = tempfile.mkdtemp()
made = {}


def create_instance(name, service, plan):
    entries = requests.get(f"{os.environ['RESOURCE_CONTROLLER_URL']}/api/v1", params={"q": service}, timeout=10).json()["resources"]
    entry = next(entry for entry in entries if entry["name"] == service)
    plans = requests.get(f"{os.environ['RESOURCE_CONTROLLER_URL']}/api/v1/{entry['id']}/plan", timeout=10).json()["resources"]
    plan_id = next(found["id"] for found in plans if found["name"] == plan)
    response = controller.create_resource_instance(name=name, target="eu-de", resource_group=default_group(), resource_plan_id=plan_id)
    instance = whole(rc.ResourceInstance, response, 201)
    read = whole(rc.ResourceInstance, controller.get_resource_instance(id=instance["id"]), 200)
    equal((read["state"], read["last_operation"]["state"], read["id"]), ("active", "succeeded", read["crn"]))
    return read


@case("resource controller: instances of Secrets Manager and Event Notifications")
def make_instances():
    made["sm"] = create_instance("pipeline-secrets", "secrets-manager", "standard")
    made["en"] = create_instance("pipeline-events", "event-notifications", "standard")
    made["secrets"] = secrets_manager_of(made["sm"]["guid"])


@case("Code Engine: a project becomes active and is an instance of the resource controller")
def make_project():
    project = whole(ce.Project, code_engine.create_project(name="pipeline"), 202)
    made["project"] = project["id"]
    eventually("the project is active", lambda: code_engine.get_project(id=project["id"]).get_result()["status"] == "active")
    made["project_crn"] = controller.get_resource_instance(id=project["id"]).get_result()["crn"]


def source_manager_role():
    roles = policies.list_roles(service_name="event-notifications", source_service_name="secrets-manager", policy_type="authorization")
    found = whole(pm.RoleCollection, roles, 200)["service_roles"]
    return next(role["crn"] for role in found if role["display_name"] == "Event Source Manager")


@case("policy management v1: Secrets Manager may send events to Event Notifications")
def authorize_v1():
    def attributes(service, instance):
        named = {"accountId": account, "serviceName": service, "serviceInstance": instance["guid"]}
        return [{"name": name, "value": value} for name, value in named.items()]

    subjects = [{"attributes": attributes("secrets-manager", made["sm"])}]
    resources = [{"attributes": attributes("event-notifications", made["en"])}]
    response = policies.create_policy(type="authorization", subjects=subjects, roles=[{"role_id": source_manager_role()}], resources=resources)
    policy = whole(pm.Policy, response, 201)
    equal(policy["subjects"], subjects)
    assert policy["roles"][0]["role_id"] == source_manager_role(), policy
    listed = whole(pm.PolicyCollection, policies.list_policies(account_id=account, type="authorization"), 200)["policies"]
    assert policy["id"] in [one["id"] for one in listed], listed
    equal(policies.delete_policy(policy_id=policy["id"]).get_status_code(), 204)


@case("policy management v2: the same authorization again, read back word for word")
def authorize_v2():
    def attributes(service, instance):
        named = {"accountId": account, "serviceName": service, "serviceInstance": instance["guid"]}
        return [{"key": key, "operator": "stringEquals", "value": value} for key, value in named.items()]

    subject = {"attributes": attributes("secrets-manager", made["sm"])}
    resource = {"attributes": attributes("event-notifications", made["en"])}
    control = {"grant": {"roles": [{"role_id": source_manager_role()}]}}
    policy = whole(pm.V2Policy, policies.create_v2_policy(control=control, type="authorization", subject=subject, resource=resource), 201)
    read = policies.get_v2_policy(id=policy["id"])
    document = whole(pm.V2PolicyTemplateMetaData, read, 200)
    equal((document["subject"], document["resource"]), (subject, resource))
    assert read.get_headers()["ETag"]


@case("Secrets Manager: registered with Event Notifications, which knows it as a source")
def register():
    registration = made["secrets"].create_notifications_registration(
        event_notifications_instance_crn=made["en"]["crn"], event_notifications_source_name="the secrets"
    )
    whole(sm.NotificationsRegistration, registration, 201)
    whole(sm.NotificationsRegistration, made["secrets"].get_notifications_registration(), 200)
    equal(made["secrets"].get_notifications_registration_test().get_status_code(), 204)
    sources = whole(en.SourceList, event_notifications.list_sources(instance_id=made["en"]["guid"]), 200)["sources"]
    made["source"] = next(source["id"] for source in sources if source["name"] == "the secrets")


def certificate_prototype(leaf):
    return {name: leaf[name] for name in ("certificate", "intermediate", "private_key")}


@case("Secrets Manager: an imported certificate with its chain")
def import_certificate():
    make_authority(folder)
    made["first"] = make_leaf(folder, HOST)
    prototype = {"secret_type": "imported_cert", "name": SECRET, **certificate_prototype(made["first"])}
    secret = whole(sm.ImportedCertificate, made["secrets"].create_secret(secret_prototype=prototype), 201)
    equal((secret["state"], secret["versions_total"], secret["secret_group_id"]), (1, 1, "default"))
    made["secret"] = secret["id"]


def create_tls_secret():
    first = made["first"]
    chain = first["certificate"] + first["intermediate"]
    response = code_engine.create_secret(
        project_id=made["project"], format="tls", name=TLS_SECRET, data={"tls_cert": chain, "tls_key": first["private_key"]}
    )
    equal(whole(ce.Secret, response, 201)["data"]["tls_cert"], chain)


@case("Code Engine: secrets of formats tls and generic, and the config map with sync's renewals")
def make_entities():
    create_tls_secret()
    made["header"] = chance.token_urlsafe(32)
    whole(
        ce.Secret,
        code_engine.create_secret(project_id=made["project"], format="generic", name="sync-header", data={"value": made["header"]}),
        201,
    )
    probe = {"host": HOST, "port": int(gateway_port), "connect": os.environ["EVERLEAF_GATEWAY"]}
    renewal = {"name": "shop", "source": {"id": made["secret"]}, "target": TLS_SECRET, "probes": [probe]}
    data = {"renewals.json": json.dumps({"version": 1, "renewals": [renewal]})}
    equal(whole(ce.ConfigMap, code_engine.create_config_map(project_id=made["project"], name="sync-renewals", data=data), 201)["data"], data)


@case("IAM: a trusted profile with its link to the sync app and two policies")
def make_profile():
    profile = whole(idm.TrustedProfile, identity.create_profile(name=PROFILE, account_id=account), 201)
    link = {"crn": made["project_crn"], "component_type": "application", "component_name": "sync"}
    created = identity.create_link(profile_id=profile["id"], cr_type="CE", name="sync", link=link)
    whole(idm.ProfileLink, created, 201)
    rights = [
        ("secrets-manager", made["sm"]["guid"], "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader"),
        ("codeengine", made["project"], "crn:v1:bluemix:public:iam::::serviceRole:Writer"),
    ]
    for service, guid, role in rights:
        attributes = {"accountId": account, "serviceName": service, "serviceInstance": guid}
        policy = policies.create_policy(
            type="access",
            subjects=[{"attributes": [{"name": "iam_id", "value": profile["iam_id"]}]}],
            roles=[{"role_id": role}],
            resources=[{"attributes": [{"name": name, "value": value} for name, value in attributes.items()]}],
        )
        whole(pm.Policy, policy, 201)


def archive_of(path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in sorted(os.listdir(path)):
            if name != "node_modules":
                archive.add(os.path.join(path, name), arcname=name)
    return packed.getvalue()


def build(name, path):
    """Builds an image from a local folder. Uploading the source has no operation in the official client: it is a plain request."""
    image = f"private.everleaf/{name}"
    project = made["project"]
    response = code_engine.create_build(
        project_id=project, name=name, output_image=image, output_secret="none", strategy_type="buildpacks", source_type="local"
    )
    whole(ce.Build, response, 201)
    token = code_engine.authenticator.token_manager.get_token()
    url = f"{os.environ['CODE_ENGINE_URL']}/projects/{project}/builds/{name}/source"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/gzip"}
    uploaded = requests.put(url, data=archive_of(path), headers=headers, timeout=30)
    assert uploaded.ok, uploaded.text
    run = whole(ce.BuildRun, code_engine.create_build_run(project_id=project, build_name=name), 202)

    def finished():
        document = whole(ce.BuildRun, code_engine.get_build_run(project_id=project, name=run["name"]), 200)
        assert document["status"] != "failed", document
        return document["status"] == "succeeded"

    eventually(f"the build of {name}", finished, limit_s=120)
    return image


def start(name, image, **settings):
    whole(ce.App, code_engine.create_app(project_id=made["project"], name=name, image_reference=image, **settings), 201)

    def ready():
        app = whole(ce.App, code_engine.get_app(project_id=made["project"], name=name), 200)
        assert app["status"] != "failed", app
        return app if app["status"] == "ready" else None

    return eventually(f"the app {name}", ready)


@case("Code Engine: sync, built from local source, private, with its compute resource token")
def start_sync():
    variables = {
        "IAM_PROFILE_NAME": PROFILE,
        "IAM_URL": os.environ["IAM_AUTH_URL"],
        "SECRETS_MANAGER_URL": os.environ["SECRETS_MANAGER_URL"].rsplit("/", 1)[0] + "/" + made["sm"]["guid"],
    }
    environment = [{"type": "literal", "name": name, "value": value} for name, value in variables.items()]
    environment.append({"type": "secret_key_reference", "name": "SYNC_HEADER_VALUE", "reference": "sync-header", "key": "value"})
    app = start(
        "sync",
        build("sync", SYNC_FOLDER),
        managed_domain_mappings="local_private",
        run_compute_resource_token_enabled=True,
        run_env_variables=environment,
        scale_min_instances=0,
        scale_max_instances=1,
        scale_cpu_limit="0.25",
        scale_memory_limit="0.5G",
    )
    assert ".private." in app["endpoint"], app["endpoint"]
    made["sync"] = app["endpoint"]


@case("Code Engine: a site on a domain of its own")
def start_site():
    start("site", build("site", SITE_FOLDER), scale_min_instances=0, scale_max_instances=2)
    component = {"name": "site", "resource_type": "app_v2"}
    response = code_engine.create_domain_mapping(project_id=made["project"], component=component, name=HOST, tls_secret=TLS_SECRET)
    whole(ce.DomainMapping, response, 201)

    def ready():
        mapping = whole(ce.DomainMapping, code_engine.get_domain_mapping(project_id=made["project"], name=HOST), 200)
        assert mapping["status"] != "failed", mapping
        return mapping["status"] == "ready"

    eventually("the mapping is ready", ready)


@case("Event Notifications: topic with the two filters of the article")
def make_topic():
    rules = [
        {"enabled": True, "event_type_filter": f"$.type == '{ROTATED}'", "notification_filter": f"$.data.secrets[0].secret_name == '{SECRET}'"}
    ]
    response = event_notifications.create_topic(
        instance_id=made["en"]["guid"], name="rotated", description="This is a topic", sources=[{"id": made["source"], "rules": rules}]
    )
    made["topic"] = whole(en.TopicResponse, response, 201)["id"]
    topic = whole(en.Topic, event_notifications.get_topic(instance_id=made["en"]["guid"], id=made["topic"]), 200)
    found = topic["sources"][0]["rules"][0]
    equal({name: found[name] for name in rules[0]}, rules[0])


@case("Event Notifications: Code Engine destination, sent as multipart, with a custom header")
def make_destination():
    params = {"url": made["sync"], "verb": "post", "type": "application", "custom_headers": {HEADER: made["header"]}, "sensitive_headers": [HEADER]}
    response = event_notifications.create_destination(
        instance_id=made["en"]["guid"], name="sync", type="ibmce", description="The sync app", config={"params": params}
    )
    made["destination"] = whole(en.DestinationResponse, response, 201)["id"]
    read = event_notifications.get_destination(instance_id=made["en"]["guid"], id=made["destination"])
    destination = whole(en.Destination, read, 200)
    assert made["header"] not in json.dumps(destination), "a sensitive header is shown"


@case("Event Notifications: subscription")
def make_subscription():
    response = event_notifications.create_subscription(
        instance_id=made["en"]["guid"], name="sync", description="", destination_id=made["destination"], topic_id=made["topic"]
    )
    whole(en.Subscription, response, 201)


def served(root):
    """Fingerprint of the leaf that a TLS client accepts for the host, and the answer it gets."""
    context = ssl.create_default_context(cadata=root)
    with socket.create_connection((gateway_host, int(gateway_port)), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname=HOST) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest(), answer


@case("Python's ssl accepts the first certificate, and the site answers from zero")
def first_is_served():
    fingerprint, answer = served(made["first"]["root"])
    equal(fingerprint, made["first"]["fingerprint"])
    assert answer.startswith(b"HTTP/1.1 200"), answer


@case("Secrets Manager: the secret is rotated")
def rotate():
    made["second"] = make_leaf(folder, HOST)
    response = made["secrets"].create_secret_version(secret_id=made["secret"], secret_version_prototype=certificate_prototype(made["second"]))
    version = whole(sm.ImportedCertificateVersion, response, 201)
    equal((version["alias"], version["auto_rotated"]), ("current", False))


@case("Code Engine: the secret was replaced by the sync app")
def secret_is_replaced():
    def replaced():
        document = whole(ce.Secret, code_engine.get_secret(project_id=made["project"], name=TLS_SECRET), 200)
        return document if document["data"]["tls_key"].strip() == made["second"]["private_key"].strip() else None

    secret = eventually("the secret is replaced", replaced)
    der = ssl.PEM_cert_to_DER_cert(secret["data"]["tls_cert"].split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    equal(hashlib.sha256(der).hexdigest(), made["second"]["fingerprint"])
    equal(secret["data"]["tls_cert"].count("BEGIN CERTIFICATE"), 2)


@case("Python's ssl sees the new certificate, and the site still answers")
def second_is_served():
    fingerprint, answer = served(made["second"]["root"])
    equal(fingerprint, made["second"]["fingerprint"])
    assert answer.startswith(b"HTTP/1.1 200"), answer


@case("sync says that it proved it")
def state_is_fresh():
    def fresh():
        data = code_engine.get_config_map(project_id=made["project"], name="sync-state").get_result()["data"]
        state = json.loads(data["shop"])
        return state if state["state"] == "fresh" and "proven_at" in state else None

    equal(eventually("the state is fresh", fresh)["in_place"], made["second"]["fingerprint"])


run_cases()
