"""The Secrets Manager SDK's own integration run, with imported certificates beside it; locks and configurations answer 501 by name."""

import tempfile

from ibm_secrets_manager_sdk import secrets_manager_v2 as sm

from cases import absent, case, equal, refused, run_cases, whole
from certificates import make_authority, make_leaf
from clients import secrets_manager as client

UNKNOWN = "bc656587-8fda-4d05-9ad8-b1de1ec7e712"
NAME = "example-imported-certificate"
NEW_NAME = "updated-certificate-name-example"
FOREIGN_EN = "crn:v1:bluemix:public:event-notifications:us-south:a/22018f3c34ff4ff193698d15ca316946:578ad1a4-2fd8-4e66-95d5-79a842ba91f8::"
folder = tempfile.mkdtemp()
made = {}


def prototype(leaf):
    return {name: leaf[name] for name in ("certificate", "intermediate", "private_key")}


@case("create a group")
def create_group():
    response = client.create_secret_group(name="my-secret-group", description="Extended description for this group.")
    made["group"] = whole(sm.SecretGroup, response, 201)["id"]


@case("a second group of the same name is refused with a reason")
def create_group_again():
    refused(400, client.create_secret_group, name="my-secret-group", says="my-secret-group")


@case("create an imported certificate in the default group, with labels and both metadata objects")
def create_secret():
    make_authority(folder)
    made["leaf"] = make_leaf(folder, "example.com")
    extra = {"labels": ["dev", "us-south"], "custom_metadata": {"anyKey": "anyValue"}, "version_custom_metadata": {"anyKey": "anyValue"}}
    body = {"secret_type": "imported_cert", "name": NAME, "description": "Extended description.", "secret_group_id": "default", **extra}
    secret = whole(sm.ImportedCertificate, client.create_secret(secret_prototype={**body, **prototype(made["leaf"])}), 201)
    equal((secret["labels"], secret["custom_metadata"]), (extra["labels"], extra["custom_metadata"]))
    equal((secret["certificate"], secret["private_key"]), (made["leaf"]["certificate"], made["leaf"]["private_key"]))
    equal((secret["intermediate_included"], secret["private_key_included"], secret["common_name"]), (True, True, "example.com"))
    made["secret"] = secret["id"]


@case("PATCH metadata gives it another name")
def update_metadata():
    patch = {"name": NEW_NAME, "description": "Another description.", "labels": ["dev", "us-south"], "custom_metadata": {"anyKey": "anyValue"}}
    metadata = whole(sm.SecretMetadata, client.update_secret_metadata(id=made["secret"], secret_metadata_patch=patch), 200)
    equal(metadata["name"], NEW_NAME)
    assert "private_key" not in metadata and "certificate" not in metadata, metadata


@case("list versions")
def list_versions():
    versions = whole(sm.SecretVersionMetadataCollection, client.list_secret_versions(secret_id=made["secret"]), 200)["versions"]
    equal((len(versions), versions[0]["secret_id"], versions[0]["alias"]), (1, made["secret"], "current"))
    assert "private_key" not in versions[0], versions[0]
    made["version"] = versions[0]["id"]


@case("list groups, get the group, PATCH it with the name it has")
def read_groups():
    listed = whole(sm.SecretGroupCollection, client.list_secret_groups(), 200)
    equal({"default", made["group"]} - {group["id"] for group in listed["secret_groups"]}, set())
    equal(whole(sm.SecretGroup, client.get_secret_group(id=made["group"]), 200)["name"], "my-secret-group")
    patch = {"name": "my-secret-group", "description": "Extended description for this group."}
    whole(sm.SecretGroup, client.update_secret_group(id=made["group"], secret_group_patch=patch), 200)


@case("list secrets with every parameter, one group unknown")
def list_secrets():
    response = client.list_secrets(
        offset=0,
        limit=200,
        sort="created_at",
        search="example",
        groups=["default", UNKNOWN],
        secret_types=["arbitrary", "imported_cert", "kv"],
        match_all_labels=["dev", "us-south"],
    )
    page = whole(sm.SecretMetadataPaginatedCollection, response, 200)
    equal((page["total_count"], page["offset"], page["limit"], [one["id"] for one in page["secrets"]]), (1, 0, 200, [made["secret"]]))
    assert "next" not in page and "private_key" not in page["secrets"][0], page
    nothing = whole(sm.SecretMetadataPaginatedCollection, client.list_secrets(match_all_labels=["dev", "eu-de"]), 200)
    equal((nothing["total_count"], nothing["secrets"]), (0, []))


@case("the pager gives the same secrets page by page and all at once")
def page_secrets():
    for number in range(6):
        body = {"secret_type": "imported_cert", "name": f"page-{number}", "certificate": made["leaf"]["certificate"], "secret_group_id": made["group"]}
        whole(sm.ImportedCertificate, client.create_secret(secret_prototype=body), 201)
    pager, paged = sm.SecretsPager(client=client, limit=2, sort="name", groups=[made["group"]]), []
    while pager.has_next():
        paged.extend(pager.get_next())
    at_once = sm.SecretsPager(client=client, limit=10, sort="name", groups=[made["group"]]).get_all()
    equal([one["name"] for one in paged], [f"page-{number}" for number in range(6)])
    equal([one["id"] for one in paged], [one["id"] for one in at_once])


@case("get the secret and its metadata; by name with the new one")
def get_secret():
    secret = whole(sm.Secret, client.get_secret(id=made["secret"]), 200)
    equal((secret["private_key"], secret["name"]), (made["leaf"]["private_key"], NEW_NAME))
    metadata = whole(sm.SecretMetadata, client.get_secret_metadata(id=made["secret"]), 200)
    equal((metadata["versions_total"], metadata["downloaded"]), (1, True))
    named = client.get_secret_by_name_type(secret_type="imported_cert", name=NEW_NAME, secret_group_name="default")
    equal(whole(sm.Secret, named, 200)["id"], made["secret"])
    refused(404, client.get_secret_by_name_type, secret_type="imported_cert", name=NAME, secret_group_name="default")


@case("a new version takes the place of the current one, and aliases move")
def create_version():
    made["second"] = make_leaf(folder, "example.com")
    response = client.create_secret_version(secret_id=made["secret"], secret_version_prototype=prototype(made["second"]))
    version = whole(sm.SecretVersion, response, 201)
    equal((version["alias"], version["private_key"]), ("current", made["second"]["private_key"]))
    for alias, leaf in (("current", "second"), ("previous", "leaf")):
        read = whole(sm.SecretVersion, client.get_secret_version(secret_id=made["secret"], id=alias), 200)
        equal((read["certificate"], read["alias"]), (made[leaf]["certificate"], alias))


@case("get version, version metadata and PATCH version metadata, by the first version's id")
def read_version():
    equal(whole(sm.SecretVersion, client.get_secret_version(secret_id=made["secret"], id=made["version"]), 200)["alias"], "previous")
    whole(sm.SecretVersionMetadata, client.get_secret_version_metadata(secret_id=made["secret"], id=made["version"]), 200)
    patch = {"version_custom_metadata": {"key": "value"}}
    response = client.update_secret_version_metadata(secret_id=made["secret"], id=made["version"], secret_version_metadata_patch=patch)
    equal(whole(sm.SecretVersionMetadata, response, 200)["version_custom_metadata"], {"key": "value"})


@case("the third newest version keeps its metadata and loses its data")
def third_version():
    leaf = make_leaf(folder, "example.com")
    whole(sm.SecretVersion, client.create_secret_version(secret_id=made["secret"], secret_version_prototype=prototype(leaf)), 201)
    oldest = whole(sm.SecretVersionMetadata, client.get_secret_version_metadata(secret_id=made["secret"], id=made["version"]), 200)
    equal((oldest["payload_available"], "alias" in oldest), (False, False))
    versions = whole(sm.SecretVersionMetadataCollection, client.list_secret_versions(secret_id=made["secret"]), 200)["versions"]
    equal([version.get("alias") for version in versions], ["current", "previous", None])


@case("the data of a certificate's version cannot be deleted alone, and the refusal says what can be done")
def delete_version_data():
    refused(400, client.delete_secret_version_data, secret_id=made["secret"], id="previous", says="imported_cert")


@case("the run's arbitrary secret: made with an expiry, renamed with a later one, rotated, read by id, name and version")
def arbitrary_secret():
    body = {
        "secret_type": "arbitrary",
        "name": "example-arbitrary-secret",
        "description": "Extended description for this secret.",
        "secret_group_id": "default",
        "labels": ["dev", "us-south"],
        "expiration_date": "2030-10-05T11:49:42Z",
        "payload": "secret-credentials",
        "custom_metadata": {"anyKey": "anyValue"},
        "version_custom_metadata": {"anyKey": "anyValue"},
    }
    secret = whole(sm.ArbitrarySecret, client.create_secret(secret_prototype=body), 201)
    equal((secret["payload"], secret["expiration_date"][:19]), (body["payload"], "2030-10-05T11:49:42"))
    patch = {"name": "updated-arbitrary-secret-name-example", "labels": ["dev", "us-south"], "expiration_date": "2033-04-12T23:20:50.520Z"}
    metadata = whole(sm.ArbitrarySecretMetadata, client.update_secret_metadata(id=secret["id"], secret_metadata_patch=patch), 200)
    equal((metadata["name"], metadata["expiration_date"][:19], "payload" in metadata), (patch["name"], "2033-04-12T23:20:50", False))
    named = client.get_secret_by_name_type(secret_type="arbitrary", name=patch["name"], secret_group_name="default")
    equal(whole(sm.ArbitrarySecret, named, 200)["payload"], "secret-credentials")
    next_one = {"payload": "updated secret credentials", "custom_metadata": {"anyKey": "anyValue"}, "version_custom_metadata": {"anyKey": "anyValue"}}
    version = whole(sm.ArbitrarySecretVersion, client.create_secret_version(secret_id=secret["id"], secret_version_prototype=next_one), 201)
    equal((version["payload"], version["alias"]), ("updated secret credentials", "current"))
    equal(whole(sm.SecretVersion, client.get_secret_version(secret_id=secret["id"], id="previous"), 200)["payload"], "secret-credentials")
    equal(client.delete_secret(id=secret["id"], force_delete=False).get_status_code(), 204)


@case("what cannot be is refused with a reason the SDK can show")
def refusals():
    refused(404, client.get_secret, id=UNKNOWN)
    refused(404, client.get_secret_version, secret_id=made["secret"], id=UNKNOWN)
    refused(400, client.create_secret, secret_prototype={"secret_type": "imported_cert", "name": "no-certificate"}, says="certificate")
    refused(400, client.create_secret, secret_prototype={"secret_type": "imported_cert", "name": "not-pem", "certificate": "PEM"}, says="certificate")
    other = {"secret_type": "imported_cert", "name": "foreign-key", "certificate": made["leaf"]["certificate"], "private_key": made["second"]["private_key"]}
    refused(400, client.create_secret, secret_prototype=other, says="key")
    taken = {"secret_type": "imported_cert", "name": NEW_NAME, "certificate": made["leaf"]["certificate"]}
    refused(400, client.create_secret, secret_prototype=taken, says=NEW_NAME)
    refused(400, client.delete_secret_group, id="default")


@case("registration with an Event Notifications instance that is not here, as the SDK's run has it: made, read, deleted")
def registration():
    refused(404, client.get_notifications_registration)
    foreign = {"event_notifications_instance_crn": FOREIGN_EN, "event_notifications_source_name": "My Secrets Manager"}
    response = client.create_notifications_registration(**foreign, event_notifications_source_description="Optional description of this source.")
    equal(whole(sm.NotificationsRegistration, response, 201), {"event_notifications_instance_crn": FOREIGN_EN})
    whole(sm.NotificationsRegistration, client.get_notifications_registration(), 200)
    equal(client.delete_notifications_registration().get_status_code(), 204)
    refused(404, client.get_notifications_registration)


@case("a group that holds secrets is not deleted; an empty one is")
def delete_group():
    refused(409, client.delete_secret_group, id=made["group"])
    for secret in sm.SecretsPager(client=client, limit=10, groups=[made["group"]]).get_all():
        equal(client.delete_secret(id=secret["id"], force_delete=False).get_status_code(), 204)
    response = client.delete_secret_group(id=made["group"])
    equal(response.get_status_code(), 204)
    refused(404, client.get_secret_group, id=made["group"])


@case("other secret types, locks, tasks, actions and configurations answer 501 and name the operation")
def what_is_absent():
    secret = made["secret"]
    bodies = {
        "kv": {"data": {"key": "value"}},
        "username_password": {"username": "user", "password": "password"},
        "iam_credentials": {"ttl": "1h", "reuse_api_key": False},
        "public_cert": {"common_name": "example.com", "ca": "ca", "dns": "dns"},
        "private_cert": {"certificate_template": "template", "common_name": "localhost"},
        "service_credentials": {"source_service": {"instance": {"crn": FOREIGN_EN}}},
        "custom_credentials": {"configuration": "configuration"},
    }
    for kind, body in bodies.items():
        refused(501, client.create_secret, secret_prototype={"secret_type": kind, "name": f"example-{kind}", **body}, says=kind)
    locks = [{"name": "lock-example-1", "description": "lock for consumer 1", "attributes": {"key": "value"}}]
    absent("create_secret_locks_bulk", client.create_secret_locks_bulk, id=secret, locks=locks, mode="remove_previous")
    absent("delete_secret_locks_bulk", client.delete_secret_locks_bulk, id=secret, name=["lock-example-1"])
    absent("list_secrets_locks", client.list_secrets_locks)
    absent("list_secret_locks", client.list_secret_locks, id=secret)
    absent("list_secret_version_locks", client.list_secret_version_locks, secret_id=secret, id="current")
    absent("create_secret_version_locks_bulk", client.create_secret_version_locks_bulk, secret_id=secret, id="current", locks=locks)
    absent("create_secret_action", client.create_secret_action, id=secret, secret_action_prototype={"action_type": "private_cert_action_revoke_certificate"})
    absent("list_secret_tasks", client.list_secret_tasks, secret_id=secret)
    dns = {"config_type": "public_cert_configuration_dns_cloud_internet_services", "name": "example-cis"}
    absent("create_configuration", client.create_configuration, configuration_prototype=dns)
    absent("list_configurations", client.list_configurations)
    absent("get_configuration", client.get_configuration, name="example-cis")
    absent("delete_configuration", client.delete_configuration, name="example-cis")


@case("delete the secret")
def delete_secret():
    equal(client.delete_secret(id=made["secret"], force_delete=False).get_status_code(), 204)
    refused(404, client.get_secret, id=made["secret"])
    refused(404, client.get_secret_metadata, id=made["secret"])


run_cases()
