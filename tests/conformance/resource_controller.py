"""The platform services SDK's own integration runs of the resource controller and the resource manager."""

from ibm_platform_services import resource_controller_v2 as rc
from ibm_platform_services import resource_manager_v2 as rm

from cases import absent, case, equal, holds, refused, run_cases, whole
from clients import account, controller, default_group, groups, plan_of

UNKNOWN = "15314cc3-85b4-4338-903f-c28cdee6d005"
MANAGER = "crn:v1:bluemix:public:iam::::serviceRole:Manager"
made = {}


def listed(model, response):
    """A list that ends here. Its next_url is null, as IBM's is; the SDK's own model refuses that, and its users read the document."""
    equal(response.get_status_code(), 200)
    document = response.get_result()
    equal(document["next_url"], None)
    holds(model, {**document, "next_url": "/v2/…"})
    equal(document["rows_count"], len(document["resources"]))
    return document["resources"]


@case("resource groups: one is the default; create, get, update, list by name, delete")
def resource_groups():
    listed = whole(rm.ResourceGroupList, groups.list_resource_groups(account_id=account), 200)["resources"]
    equal([one["name"] for one in listed if one["default"]], ["Default"])
    created = whole(rm.ResCreateResourceGroup, groups.create_resource_group(name="TestGroup", account_id=account), 201)
    group = whole(rm.ResourceGroup, groups.get_resource_group(id=created["id"]), 200)
    equal((group["name"], group["state"], group["crn"]), ("TestGroup", "ACTIVE", created["crn"]))
    equal(whole(rm.ResourceGroup, groups.update_resource_group(id=created["id"], name="TestGroup2"), 200)["name"], "TestGroup2")
    named = groups.list_resource_groups(account_id=account, name="TestGroup2").get_result()["resources"]
    equal([one["id"] for one in named], [created["id"]])
    equal(groups.delete_resource_group(id=created["id"]).get_status_code(), 204)
    assert created["id"] not in [one["id"] for one in groups.list_resource_groups(account_id=account).get_result()["resources"]]


@case("quota definitions are listed and read")
def quotas():
    listed = whole(rm.QuotaDefinitionList, groups.list_quota_definitions(), 200)["resources"]
    equal(whole(rm.QuotaDefinition, groups.get_quota_definition(id=listed[0]["id"]), 200)["id"], listed[0]["id"])


@case("an instance: id is its CRN, active at once; read by GUID and by CRN")
def create_instance():
    made["service"], made["plan"] = plan_of("event-notifications", "lite")
    response = controller.create_resource_instance(
        name="RcSdkInstance1Python", target="eu-de", resource_group=default_group(), resource_plan_id=made["plan"], tags=["t"], allow_cleanup=True
    )
    instance = whole(rc.ResourceInstance, response, 201)
    equal((instance["id"], instance["last_operation"]["type"], instance["locked"]), (instance["crn"], "create", False))
    equal((instance["state"], instance["last_operation"]["state"]), ("active", "succeeded"))
    equal(len(instance["crn"].split(":")), 10)
    made["instance"], made["guid"] = instance["id"], instance["guid"]
    for one in (made["instance"], made["guid"]):
        equal(whole(rc.ResourceInstance, controller.get_resource_instance(id=one), 200)["guid"], made["guid"])


@case("update the instance: name and parameters")
def update_instance():
    response = controller.update_resource_instance(id=made["instance"], name="RcSdkInstanceUpdate1Python", parameters={"hello": "bye"})
    instance = whole(rc.ResourceInstance, response, 200)
    equal((instance["name"], instance["last_operation"]["type"], instance["last_operation"]["sub_type"]), ("RcSdkInstanceUpdate1Python", "update", "config"))


@case("instances are listed by each filter, and paged one by one")
def list_instances():
    asked = {"guid": made["guid"], "name": "RcSdkInstanceUpdate1Python", "resource_group_id": default_group(), "resource_id": made["service"]}
    found = listed(rc.ResourceInstancesList, controller.list_resource_instances(**asked, resource_plan_id=made["plan"], type="service_instance"))
    equal([one["guid"] for one in found], [made["guid"]])
    paged = rc.ResourceInstancesPager(client=controller, limit=1, type="service_instance").get_all()
    at_once = controller.list_resource_instances(limit=100, type="service_instance").get_result()["resources"]
    equal(sorted(one["guid"] for one in paged), sorted(one["guid"] for one in at_once))
    equal(controller.list_resource_instances(guid=UNKNOWN).get_result()["resources"], [])


@case("a locked instance is neither changed nor deleted: 422; unlocked, it is")
def locks():
    locked = whole(rc.ResourceInstance, controller.lock_resource_instance(id=made["instance"]), 200)
    equal((locked["locked"], locked["last_operation"]["type"]), (True, "lock"))
    refused(422, controller.update_resource_instance, id=made["instance"], name="RcSdkLockedInstanceUpdate1")
    refused(422, controller.delete_resource_instance, id=made["instance"])
    unlocked = whole(rc.ResourceInstance, controller.unlock_resource_instance(id=made["instance"]), 200)
    equal((unlocked["locked"], unlocked["last_operation"]["type"]), (False, "unlock"))


@case("keys: create with a role, get by GUID and CRN, list, page, rename, list of the instance")
def keys():
    created = controller.create_resource_key(name="RcSdkKey1Python", source=made["instance"], role=MANAGER)
    key = whole(rc.ResourceKey, created, 201)
    equal((key["id"], key["source_crn"], key["state"], key["iam_compatible"]), (key["crn"], made["instance"], "active", True))
    assert key["credentials"]["apikey"] and key["credentials"]["iam_serviceid_crn"], "a key without credentials"
    for one in (key["id"], key["guid"]):
        equal(whole(rc.ResourceKey, controller.get_resource_key(id=one), 200)["guid"], key["guid"])
    equal(whole(rc.ResourceKey, controller.update_resource_key(id=key["id"], name="RcSdkKeyUpdate1Python"), 200)["name"], "RcSdkKeyUpdate1Python")
    equal(len(listed(rc.ResourceKeysList, controller.list_resource_keys(guid=key["guid"]))), 1)
    of_instance = listed(rc.ResourceKeysList, controller.list_resource_keys_for_instance(id=made["instance"]))
    equal([one["guid"] for one in of_instance], [key["guid"]])
    equal([one["guid"] for one in rc.ResourceKeysPager(client=controller, limit=1).get_all()], [key["guid"]])
    equal([one["guid"] for one in rc.ResourceKeysForInstancePager(client=controller, id=made["instance"], limit=1).get_all()], [key["guid"]])
    made["key"] = key["id"]


@case("an instance with a key is not deleted: 400; with recursive it is: 204, then 200 and removed, its key too")
def delete_instance():
    refused(400, controller.delete_resource_instance, id=made["instance"], recursive=False)
    equal(controller.delete_resource_instance(id=made["instance"], recursive=True).get_status_code(), 204)
    gone = whole(rc.ResourceInstance, controller.get_resource_instance(id=made["instance"]), 200)
    equal((gone["state"], gone["last_operation"]["type"]), ("removed", "delete"))
    refused(404, controller.get_resource_key, id=made["key"])
    equal(controller.list_resource_instances(guid=made["guid"]).get_result()["resources"], [])


@case("what cannot be is refused with a reason the SDK can show")
def refusals():
    refused(404, controller.get_resource_instance, id=UNKNOWN)
    body = {"name": "x", "target": "eu-de", "resource_group": default_group()}
    refused(404, controller.create_resource_instance, **body, resource_plan_id=UNKNOWN, says="plan")
    refused(404, controller.create_resource_instance, **{**body, "resource_group": UNKNOWN}, resource_plan_id=made["plan"], says="group")
    refused(404, controller.create_resource_key, name="x", source=UNKNOWN)


@case("reclamations are an empty list; what is not here answers 501 and names the operation")
def what_is_absent():
    equal(whole(rc.ReclamationsList, controller.list_reclamations(account_id=account), 200)["resources"], [])
    absent("run_reclamation_action", controller.run_reclamation_action, id=UNKNOWN, action_name="restore")
    absent("list_resource_bindings", controller.list_resource_bindings)
    absent("create_resource_alias", controller.create_resource_alias, name="a", source=UNKNOWN, target="crn:v1:cf")
    absent("list_resource_aliases", controller.list_resource_aliases)
    absent("cancel_lastop_resource_instance", controller.cancel_lastop_resource_instance, id=UNKNOWN)


run_cases()
